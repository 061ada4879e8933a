"""`python -m ganvas` is `ganvas`."""

import sys

from .cli import main

sys.exit(main())

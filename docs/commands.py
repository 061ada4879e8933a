"""Write docs/commands.md from the signatures and docstrings of the verbs: `python -m docs.commands`."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterable
from importlib import import_module
from inspect import Parameter, getsource
from pathlib import Path

from ganvas.api.verb import Argument, Declaration, declaration
from ganvas.cli.app import app
from ganvas.cli.reading import PYTHON, flag, parse_settings
from ganvas.cli.show import SHOWS

COMMANDS = [(name, declaration(verb), show, required) for name, verb, show, required in SHOWS]

PAGE = Path(__file__).with_suffix(".md")
TOP = """\
# Commands

<!-- Written by `make commands` (docs/commands.py); do not edit. -->

Every command is also a Python function, with the same code and the same result. After `import ganvas`:

- `RUN` is the first argument, `--best-of 64` is `best_of=64`, `--no-loop` is `loop=False`.
- `--set lr=1e-4 --set width=32` is `options={"lr": 1e-4, "width": 32}`.
- Python gives a result object: a notebook shows it, `.save(path)` writes it in every format of `--out`, and the next
  verb takes it. With `out=` the file is written at once.
- `progress=False` shows no progress bar. `ganvas.walk.steps(...)` is the work as a generator that reports its progress;
  closing it cancels the work.
- [What arguments take](#what-arguments-take) explains the types that the tables name.

A command ends with the status 0 when it is done, 1 when its work failed, and 2 when the request was wrong; Python
raises `ganvas.WorkError` or `ganvas.RequestError`. `ganvas COMMAND --help` prints what is here; `--debug` shows the
traceback of an error. Ctrl-C while training or painting saves, and the last line says how to continue.
"""
EXAMPLES = """\
ganvas train  # recipe gan on the digits
ganvas train gan photos/ --minutes 30  # on your own pictures: a folder, a .zip, an .npz
ganvas train dcgan fashion-mnist --set objective=wgan-gp --set width=32
ganvas train diffusion photos/ --minutes 60  # from noise to images; sub-folders are classes
ganvas train clip photos/  # learn which captions belong to which pictures (captions.jsonl next to them)
ganvas train vqgan photos/ --set size=64  # an autoencoder whose latents are codes
ganvas resume runs/gan-photos --minutes 60  # exactly where it stopped, even after kill -9
ganvas recipes  # list them
ganvas recipes gan  # every option of one, explained
ganvas data photos/  # count, sizes, classes, duplicates, unreadable files, a contact sheet
ganvas sample runs/gan-photos --seeds 0-63 --out grid.png
ganvas sample runs/cgan-photos --label cat --out cats/  # of a class; one PNG a seed
ganvas walk runs/gan-photos --seeds 0,7,42 --easing smooth --out walk.mp4  # from keyframe to keyframe, and back
ganvas walk runs/gan-photos --latents litter/latents.npz --out family.webp
ganvas edit runs/gan-photos --seed 3 --direction d.npz:0 --out strip.png  # a strip, or a film
ganvas breed runs/gan-photos --parents 3,17,42 --out litter/  # children by crossover and mutation
ganvas breed runs/gan-photos --parents litter/5,litter/7 --out grandchildren/
ganvas directions runs/gan-photos --out d.npz  # what the latents control
ganvas directions runs/gan-photos --method attribute --words color=red,blue --out colors.npz
ganvas project runs/gan-photos me.jpg --out z.npz  # the latent of a picture, and how near the model comes
ganvas paint "a red circle" --out circle/  # with the small models that come with ganvas; or with yours:
ganvas paint "a red star::2" --exclude "a face" --generator runs/gan-photos --clip runs/clip-photos --out star/
ganvas reconstruct runs/vqgan-photos photos/ --out sheet.png  # originals above their reconstructions; PSNR
ganvas classify picture.png --labels "cat,dog,car" --clip runs/clip-photos
ganvas search "a red star" photos/ --clip runs/clip-photos --out sheet.png
ganvas evaluate runs/gan-photos  # figures with intervals and floors; collapse and copies in words
ganvas compare --data ring --losses all --out runs/losses  # objectives x seeds, on one page
ganvas export runs/gan-photos --out photos.html  # draws in any browser, offline; or .onnx, .pt2; all are checked
ganvas report runs/gan-photos  # curves, samples through training, the verdict
ganvas doctor
"""


def page() -> str:
    """The whole page: a section a command, and the types."""
    parts = [TOP, *(section(name, verb, required) for name, verb, _, required in COMMANDS), types()]
    return "\n".join(parts)


def section(name: str, verb: Declaration, required: tuple[str, ...]) -> str:
    """The heading, the usage, the summary, examples both ways and the table of one command."""
    summary, *more = verb.summary.split("\n\n")
    examples = [line for line in EXAMPLES.splitlines() if line.split()[1] == name]
    given = [one for one in verb.arguments if one.name not in PYTHON]
    python = f"ganvas.{verb.name}(...) -> {verb.load().__signature__.return_annotation}"
    forms = f"`{usage(name, given, required)}`, in Python `{python}`"
    lines = [f"## ganvas {name}", "", meant(summary, verb), "", forms, ""]
    lines += ["```", *examples, "```", "", "```py", *map(call, examples), "```", ""]
    for text in more:
        lines += [" ".join(text.split()), ""]
    if given:
        rows = [(flagged(one, verb), kind(one.type), default(one, required), meant(one.meaning, verb)) for one in given]
        lines += [*table(("argument", "type", "default", "meaning"), rows), ""]
    return "\n".join(lines)


def usage(name: str, given: list[Argument], required: tuple[str, ...]) -> str:
    """What has to be typed, and what may be."""
    words = []
    for one in given:
        many = "..." if one.type.split(" |")[0] in ("Pictures", "Sources", "Texts") else ""
        if one.positional:
            words.append(f"{one.name.upper()}{many}" if one.nameless else f"[{one.name.upper()}]")
        elif must(one, required):
            words.append(f"--{one.name} {one.name.upper()}{many}")
    options = "[OPTIONS]" if any(not one.positional and not must(one, required) for one in given) else ""
    return " ".join(filter(None, ["ganvas", name, *words, options]))


def call(example: str) -> str:
    """The Python of a command, such as `ganvas.sample("runs/gan", seeds="0-63")`."""
    words = shlex.split(example, comments=True)[1:]
    asked = app.parse_args(words, exit_on_error=False, print_error=False)[1].arguments
    verb = next(verb for name, verb, *_ in COMMANDS if name == words[0])
    texts = []
    for one in verb.arguments:
        if one.name in asked:
            value = asked[one.name]
            if one.name == "options":
                value = {key: plain(text) for key, text in parse_settings(value).items()}
            elif isinstance(value, list | tuple):
                value = str(value[0]) if len(value) == 1 else [*map(str, value)]
            elif isinstance(value, Path):
                value = str(value)
            texts.append(quoted(value) if one.positional else f"{one.name}={quoted(value)}")
    return f"ganvas.{verb.name}({', '.join(texts)})"


def plain(text: str) -> object:
    """'32' -> 32, 'wgan-gp' -> 'wgan-gp'."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


def quoted(value: object) -> str:
    """A value as code, with double quotes and without needless decimals."""
    value = int(value) if isinstance(value, float) and value.is_integer() else value
    return repr(value).replace("'", '"')


def must(one: Argument, required: tuple[str, ...]) -> bool:
    """Whether a command needs it."""
    return one.name in required or one.default is Parameter.empty


def flagged(one: Argument, verb: Declaration) -> str:
    """How it is typed: RUN, --seeds, --[no-]loop, --set KEY=VALUE."""
    name = flag(one.name, verb)
    if one.type.startswith("bool") and one.default is not False:
        return f"`--[no-]{name.removeprefix('--')}`"
    if one.name == "options":
        return f"`{name} KEY=VALUE`"
    return f"`{one.name.upper()}` or `{name}`" if one.positional and not one.nameless else f"`{name}`"


def kind(text: str) -> str:
    """A type in words: its choices, or its alternatives where they are short, or its name."""
    *made, last = alternatives(ast.parse(text.removesuffix(" | None"), mode="eval").body)
    if not made and last in NAMES and (short := NAMES[last][0]).count("|") < 2 and "[str" not in short:
        return kind(short)
    return f"{', '.join(f'`{part}`' for part in made)} or `{last}`" if made else f"`{last}`"


def alternatives(tree: ast.expr) -> list[str]:
    """'str | Path' -> ['str', 'Path']; 'Literal["a", "b"]' -> ['a', 'b']."""
    if isinstance(tree, ast.BinOp):
        return alternatives(tree.left) + alternatives(tree.right)
    text = ast.unparse(tree)
    return list(ast.literal_eval(text[7:])) if text.startswith("Literal") else [text.replace("'", "")]


def default(one: Argument, required: tuple[str, ...]) -> str:
    """What it is unless it is said."""
    if must(one, required):
        return "required" if one.default is Parameter.empty else "required (not in Python)"
    return "" if one.default is None else f"`{one.default}`"


def meant(text: str, verb: Declaration) -> str:
    """A text whose names of arguments are those of the command line, as code."""
    known = {one.name for one in verb.arguments}
    return re.sub(r"`(\w+)`", lambda found: f"`{flag(found[1], verb)}`" if found[1] in known else found[0], text)


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """A table of Markdown."""
    header = list(header)
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (header, ["---"] * len(header), *rows)]
    return [f"| {' | '.join(row)} |".replace("|  |", "| |") for row in cells]


def definitions() -> dict[str, tuple[str, str]]:
    """Every type that arguments have: what it is made of, and the comment behind it."""
    source = getsource(import_module("ganvas.api.types"))
    modules = re.findall(r"^from \.\.(latent\.\w+|data\.pictures) import", source, re.MULTILINE)
    for module in (*modules, *(f"api.{verb.name}" for _, verb, *_ in COMMANDS)):
        source += getsource(import_module(f"ganvas.{module}"))
    found = re.findall(r"^ *([A-Z]\w+) = ([^#\n]+?)(?:  # (.*))?$", source, re.MULTILINE)
    return {name: (made, comment) for name, made, comment in found}


NAMES = definitions()


def types() -> str:
    """The section on what arguments take."""
    used = {word for _, verb, *_ in COMMANDS for one in verb.arguments for word in re.findall(r"\w+", one.type)}
    used -= {name for name in NAMES if kind(name) != f"`{name}`"}  # written out in the tables
    rows = [(f"`{name}`", kind(NAMES[name][0]), NAMES[name][1]) for name in sorted(used & NAMES.keys())]
    lines = [
        "## What arguments take",
        "",
        "Commands take text, numbers and paths. Python also takes what is in memory:",
    ]
    return "\n".join([*lines, "", *table(("type", "in Python", "meaning"), rows), ""])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

.PHONY: test slow lint

test: ## the tests that a change must pass
	python -m pytest

slow: ## those that train for minutes
	python -m pytest -m slow

lint:
	ruff check .
	ruff format --check .
	pyright

.PHONY: test slow lint commands sizes

test: ## the tests that a change must pass
	python -m pytest

slow: ## those that train for minutes
	python -m pytest -m slow

lint: ## style and types
	ruff check .
	ruff format --check .
	pyright

commands: ## write docs/commands.md from the verbs
	python -m docs.commands

sizes: ## the longest functions and files of src/
	python -m benchmarks.sizes

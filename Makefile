# Both goals create their own .venv: nothing has to be installed by hand but Python and make.
PYTHON ?= python3
BIN = .venv/bin

.PHONY: demo test lint clean

demo: .venv/demo
	@mkdir -p out
	@$(BIN)/python -c "from skimage import data, io; io.imsave('out/astronaut.png', data.astronaut())"
	@$(BIN)/faceshape analyze out/astronaut.png --mode largest --draw out/overlay.png | tee out/response.json
	@echo "The response is out/response.json, the picture out/overlay.png" >&2

test: .venv/test
	$(BIN)/python -m pytest -n auto --cov --cov-report=term:skip-covered

lint: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

clean:
	rm -rf .venv out

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/demo: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable . scikit-image
	@touch $@

.venv/test: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[test,bench]'
	@touch $@

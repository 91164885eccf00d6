# Both goals create their own .venv: nothing has to be installed by hand but Python and make.
PYTHON ?= python3
BIN = .venv/bin

.PHONY: demo test test-sdks lint clean

demo: .venv/demo
	@mkdir -p out
	@$(BIN)/python -c "from skimage import data, io; io.imsave('out/astronaut.png', data.astronaut())"
	@$(BIN)/faceshape analyze out/astronaut.png --mode largest --draw out/overlay.png | tee out/response.json
	@echo "The response is out/response.json, the picture out/overlay.png" >&2

test: .venv/test
	$(BIN)/python -m pytest -n auto --cov --cov-report=term:skip-covered

# The vendor's SDKs, installed from their registries; without a network they are skipped.
test-sdks: .venv/test
	$(BIN)/python -m pytest -n auto -m sdk_matrix tests/tencent/server/test_sdk_matrix.py

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

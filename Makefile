# `make demo` and `make test` do all the set-up that a fresh machine needs: Python 3.11 and make are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export MUJOCO_GL ?= egl

GL_PACKAGES := libegl1 libgl1 libgles2 libegl-mesa0 libgl1-mesa-dri
DEMO := runs/demo

.PHONY: demo test lint format setup gl docs clean

setup: $(READY) gl

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "oodbench needs Python 3.11 or newer; set PYTHON=")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

# System GL: installed when that is possible, else the command is printed.
gl: $(READY)
	@$(BIN)/python -c 'from oodbench.sim.render import gl_info; gl_info()' 2>/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing OpenGL: $(GL_PACKAGES)"; apt-get update -qq && apt-get install -y -qq $(GL_PACKAGES) >/dev/null; \
	  else \
	    echo "OpenGL is missing. Run: sudo apt-get update && sudo apt-get install -y $(GL_PACKAGES)"; exit 1; \
	  fi; }
	@$(BIN)/oodbench doctor --fix

# The main job: the shipped policies on the quick suite (every task under all three axes), and one report.
demo: setup
	$(BIN)/oodbench run quick --policy expert --out $(DEMO)/expert --video 1
	$(BIN)/oodbench run quick --policy random --out $(DEMO)/random
	$(BIN)/oodbench run quick --policy no-op --out $(DEMO)/no-op
	$(BIN)/oodbench report $(DEMO)/expert $(DEMO)/random $(DEMO)/no-op --out $(DEMO)/report.html

test: setup
	$(BIN)/python -m pytest -n 2 --dist loadgroup

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The pictures and tables in the documentation that are generated.
docs: setup
	$(BIN)/oodbench view tasks --out docs/tasks.jpg
	$(BIN)/oodbench view objects --out docs/objects.jpg
	for shift in unseen-object distractors; do $(BIN)/oodbench view semantic.$$shift --size 200 --out docs/semantic.$$shift.jpg; done
	for shift in table-texture lighting camera-pose; do $(BIN)/oodbench view visual.$$shift --size 200 --out docs/visual.$$shift.jpg; done
	for shift in object-pose robot-init; do $(BIN)/oodbench view execution.$$shift --size 200 --out docs/execution.$$shift.jpg; done
	$(BIN)/python -m oodbench.report.catalogue

clean:
	rm -rf $(VENV) runs .pytest_cache .mypy_cache .ruff_cache

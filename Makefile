# `make demo` and `make test` do all the set-up that a fresh machine needs: Python 3.11 and make are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export MUJOCO_GL ?= egl

GL_PACKAGES := libegl1 libgl1 libgles2 libegl-mesa0 libgl1-mesa-dri
DEMO := runs/demo
SHOWN := visual.table-texture,visual.light-direction,semantic.reference-spatial,semantic.unseen-object,execution.robot-init
CONTROLS := expert expert-noisy expert-blind replay random no-op

.PHONY: demo test test-fast lint format setup lerobot-env wheel-envs browser gl docs audit controls leaderboard clean

setup: $(READY) gl

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "oodbench needs Python 3.11 or newer; set PYTHON=")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0  # the CPU build, where there is one
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

# The real lerobot, whose numpy is not that of robosuite, which the tests need.
lerobot-env: .venv-lerobot/.ready

.venv-lerobot/.ready: $(READY) $(wildcard oodbench/interop/lerobot_env/*.txt oodbench/interop/lerobot_plugin/*)
	$(BIN)/oodbench lerobot-env .venv-lerobot --python $(PYTHON)
	@touch $@

# The Pythons and numpys that the built wheel is tried under; those that this machine lacks are named and skipped.
wheel-envs: .venv-wheel/.ready

.venv-wheel/.ready: $(READY) tests/wheel_envs.py
	@$(BIN)/python tests/wheel_envs.py
	@mkdir -p $(@D) && touch $@

# System GL: installed when that is possible, else the command is printed.
gl: $(READY)
	@$(BIN)/python -c 'from oodbench.sim.render import gl_info; gl_info()' 2>/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing OpenGL: $(GL_PACKAGES)"; apt-get update -qq && apt-get install -y -qq $(GL_PACKAGES) >/dev/null; \
	  else \
	    echo "OpenGL is missing. Run: sudo apt-get update && sudo apt-get install -y $(GL_PACKAGES)"; exit 1; \
	  fi; }
	@$(BIN)/oodbench doctor

# The main job: controls on the quick suite (every task under all three axes), the reference VLA's default fine-tune on the
# task that it was trained in, and one report.
demo: setup
	$(BIN)/oodbench run quick --policy expert --out $(DEMO)/expert --video 1
	$(BIN)/oodbench run quick --policy random --out $(DEMO)/random
	$(BIN)/oodbench run quick --policy no-op --out $(DEMO)/no-op
	$(BIN)/oodbench run quick --policy 'baselines/policy.py:load?checkpoint=cpu/default-0' --task put-on --limit 1 --out $(DEMO)/vla-default
	$(BIN)/oodbench report $(DEMO)/expert $(DEMO)/random $(DEMO)/no-op $(DEMO)/vla-default --out $(DEMO)/report.html

# What the tests of the leaderboard's pages are looked at with.
browser: $(READY)
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing Chromium"; apt-get update -qq; apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null || \
	    echo "Chromium could not be installed: the tests that need it will be skipped"; \
	  else \
	    echo "Chromium is missing: the tests that need it will be skipped. Run: sudo apt-get install -y chromium"; \
	  fi; }

# Every entry is checked, a sample of its episodes played again, and the pages built from those that stand.
leaderboard: setup
	$(BIN)/oodbench leaderboard build $(LEADERBOARD)

test: setup lerobot-env wheel-envs browser
	$(BIN)/python -m pytest -n 2 --dist loadgroup

# Every area's quick tests, in under two minutes on 2 cores.
test-fast: setup
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not slow and not browser and not lerobot" --durations 5

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The pictures and tables in the documentation that are generated.
docs: setup
	$(BIN)/python -m oodbench.report.catalogue
	$(BIN)/python -m oodbench.report.precision > docs/suites.md
	$(BIN)/oodbench view banner --out docs/benchmark.jpg
	for what in tasks objects textures; do $(BIN)/oodbench view $$what --out docs/$$what.jpg; done
	$(BIN)/oodbench view $(SHOWN) --seed 1 --size 200 --out docs/some-shifts.jpg
	for axis in semantic visual execution; do $(BIN)/oodbench view $$axis --seed 1 --size 176 --out docs/$$axis.jpg; done

# The fairness proofs of every cell: docs/audit.md. About ten minutes on 2 cores; without the limit twice as long.
audit: setup
	$(BIN)/oodbench audit --suite full-2 --limit 2 --run runs/audit-full-2 --out docs/audit.md

# The leaderboard's picture in the README, by a browser.
docs/leaderboard.png: leaderboard browser
	chromium --headless --no-sandbox --hide-scrollbars --window-size=1400,1130 --screenshot=$@ file://$(CURDIR)/leaderboard/site/index.html

# The controls' entries on the leaderboard, and docs/controls.md from them. About an hour of one core.
controls: setup
	for suite in core-2 think-2; do for policy in $(CONTROLS); do \
	  $(BIN)/oodbench run $$suite --policy $$policy --out runs/board/$$suite/$$policy && \
	  $(BIN)/oodbench submit runs/board/$$suite/$$policy --info leaderboard/about/$$policy.toml && \
	  $(BIN)/oodbench leaderboard admit leaderboard/entries/$$policy/$$suite || exit 1; done; done
	for policy in expert expert-blind; do $(BIN)/oodbench run language-2 --policy $$policy --limit 4 --out runs/language-2/$$policy; done
	echo 'Regenerate with `make controls`.' > docs/controls.md
	for suite in core-2 think-2; do echo >> docs/controls.md; \
	  $(BIN)/oodbench report $(CONTROLS:%=leaderboard/entries/%/$$suite) --format markdown >> docs/controls.md; done
	echo >> docs/controls.md; echo "# Precision, recorded" >> docs/controls.md; echo >> docs/controls.md; \
	  $(BIN)/python -m oodbench.report.precision leaderboard/entries/*/core-2 >> docs/controls.md
	echo >> docs/controls.md; $(BIN)/oodbench report runs/language-2/expert runs/language-2/expert-blind --format markdown >> docs/controls.md

clean:
	rm -rf $(VENV) .venv-lerobot .venv-wheel runs .pytest_cache .mypy_cache .ruff_cache

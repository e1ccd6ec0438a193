# `uv run just --list` explains every recipe; recipes use what `uv sync` installed and nothing else.
set shell := ["bash", "-euo", "pipefail", "-c"]

python := "uv run --no-sync python"
antiphon := "uv run --no-sync antiphon"
pytest := "uv run --no-sync pytest"
# The model of sessions that name none, and those to have in memory beside it: `just DEFAULT=... PRELOAD=... run-tts-piper`
DEFAULT := env("DEFAULT", "")
PRELOAD := env("PRELOAD", "")
_default := if DEFAULT == "" { "" } else { "--model " + DEFAULT }
_preload := if PRELOAD == "" { "" } else { "--preload " + PRELOAD }
nats_url := env("ANTIPHON_NATS_URL", "nats://127.0.0.1:4222")

# List the recipes
default:
    @just --list

# Everything that reads the code without running it: style, format, import contracts, drift of the schema and the AsyncAPI document
lint:
    uv run --no-sync ruff check .
    uv run --no-sync ruff format --check .
    uv run --no-sync lint-imports
    just _schema-is-current

# Repair what ruff can repair by itself
fix:
    uv run --no-sync ruff check --fix .
    uv run --no-sync ruff format .

# mypy --strict over everything
typecheck:
    uv run --no-sync mypy

# The fast tests, in two processes, with one real conversation among them: about two minutes. To debug: `just test -n 0 -s`
test *args:
    {{ pytest }} -n 2 --dist loadfile --no-loadscope-reorder -m "smoke or not (soak or browser or system or heavy)" {{ args }}
    @echo "The voices that need torch are tested by: just test-heavy"

# The whole system in processes of its own: conversations, interruptions, faults, the command line
test-system *args:
    {{ pytest }} -m "system and not (smoke or soak or browser or heavy)" {{ args }}

# The tests that drive a real Chromium (skipped with a reason where there is none, mandatory when CI=true)
test-browser *args:
    {{ pytest }} -m browser {{ args }}

# The voices that need torch, on tiny checkpoints; installs the extras (3.4 GB) into .venv
test-heavy *args:
    uv sync --locked --quiet --extra xtts --extra csm --extra cosyvoice --group cosyvoice
    {{ pytest }} -m heavy {{ args }}

# All of the above but the heavy ones
test-all *args:
    {{ pytest }} -m "not (soak or heavy)" {{ args }}

# What a merge needs: lint, typecheck, all tests
ci: lint typecheck test-all

# Three sessions in conversation for SECONDS, and no growth of memory, tasks, threads or subscriptions
soak seconds="600":
    ANTIPHON_SOAK_SECONDS={{ seconds }} {{ pytest }} -m soak -s --timeout=0

# Measure: `just bench fal voice --runs 30`; without a name, everything. Tables here, JSON in bench-results/
bench *args:
    {{ python }} -m tests.bench {{ args }}

# Where a voice's time goes, by torch's profiler, on a GPU or a CPU: `just profile-tts csm --size tiny` (docs/profiling.md)
profile-tts family *args:
    {{ python }} -m tests.bench.profile_tts {{ family }} {{ args }}

# The same with Nsight Systems: what CPU and GPU do beside each other
nsys-tts family *args:
    {{ python }} -m tests.bench.profile_tts {{ family }} --tool nsys {{ args }}

# With Nsight Compute: a phase's kernels one by one; `just ncu-tts xtts --phase xtts.vocoder`
ncu-tts family *args:
    {{ python }} -m tests.bench.profile_tts {{ family }} --tool ncu {{ args }}

# Write docs/protocol.schema.json and docs/asyncapi.json anew from the types in protocol/
schema:
    {{ python }} -m protocol.schema > docs/protocol.schema.json
    {{ python }} -m protocol.asyncapi > docs/asyncapi.json

_schema-is-current:
    {{ python }} -m protocol.schema | diff -u docs/protocol.schema.json - || { echo "run: just schema" >&2; exit 1; }
    {{ python }} -m protocol.asyncapi | diff -u docs/asyncapi.json - || { echo "run: just schema" >&2; exit 1; }

# Everything on this machine: NATS server, gateway, ASR, TTS
up *args:
    {{ antiphon }} up {{ args }}

# A NATS server with JetStream and the settings that the parts rely on, for parts started one by one
nats:
    uv run --no-sync nats-server -c nats.conf

# A Redis server for the Redis registry contract, without persistence
redis port="6379":
    redis-server --port {{ port }} --bind 127.0.0.1 --save "" --appendonly no

# The gateway: sessions, turn-taking, voice activity, the page (needs `just nats`)
run-orch *args:
    {{ antiphon }} serve gateway --nats {{ nats_url }} {{ args }}

# The ASR worker
run-asr *args:
    {{ antiphon }} serve asr --nats {{ nats_url }} {{ args }}

# A TTS worker of any family: `just run-tts piper`, `just DEFAULT=piper-joe PRELOAD=piper-alan run-tts piper`
run-tts family *args:
    {{ antiphon }} serve tts --family {{ family }} --nats {{ nats_url }} {{ _default }} {{ _preload }} {{ args }}

# The TTS worker of the default voice
run-tts-hibari *args: (run-tts "hibari" args)

# The TTS worker of the Piper voices
run-tts-piper *args: (run-tts "piper" args)

# The TTS worker of the Kokoro voices, which are slow
run-tts-kokoro *args: (run-tts "kokoro" args)

# Sesame CSM (extra csm): `CUDA_VISIBLE_DEVICES=0 just run-tts-sesame --device cuda:0`
run-tts-sesame *args: (run-tts "csm" args)

# CSM with the LoRA adapters of your own packs (extra csm): `just DEFAULT=csm-ada PRELOAD=csm-bob run-tts-unsloth`
run-tts-unsloth *args: (run-tts "csm" "--name tts-unsloth-0" args)

# XTTS-v2 (extra xtts): `just run-tts-xtts --device cuda:0`
run-tts-xtts *args: (run-tts "xtts" args)

# CosyVoice 2 (extra and group cosyvoice)
run-tts-cosy *args: (run-tts "cosyvoice2" args)

# The command line: `just cli talk --in question.wav --out answer.wav`
cli *args:
    @{{ antiphon }} {{ args }}

# Which subjects are busiest: message and frame counts over SECONDS
spy-top seconds="5":
    @{{ python }} -m tests.bench.spy --nats {{ nats_url }} --seconds {{ seconds }}

# Write a session's messages (not its audio) to a file, one JSON object a line, until Ctrl-C
spy-record session file="session.jsonl":
    {{ antiphon }} tap {{ session }} --json > {{ file }}

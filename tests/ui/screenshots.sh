#!/usr/bin/env bash
# Makes the README's pictures, assets/screenshots/*.png, from the real program: the real window on a
# virtual screen with a software GPU, driven by keys and mouse, the real engine, the starter model.
# Needs xvfb, xdotool and imagemagick. usage: tests/ui/screenshots.sh [PROGRAM]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

program=${1:-}
if [[ -z $program ]]; then
  cargo build --release -p pentimento
  program=${CARGO_TARGET_DIR:-target}/release/pentimento
fi
for tool in Xvfb xdotool import; do
  command -v "$tool" >/dev/null || { echo "screenshots.sh: $tool is missing"; exit 1; }
done

scratch=$(mktemp -d)
screen=:87
pids=()
finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  rm -rf "$scratch"
}
trap finish EXIT
mkdir -m 700 "$scratch/run"
export XDG_RUNTIME_DIR=$scratch/run WGPU_BACKEND=vulkan VK_LOADER_DRIVERS_SELECT='lvp*'
unset WAYLAND_DISPLAY
library=$scratch/Pictures
data=$scratch/data
mkdir -p "$library" "$data" assets/screenshots

# ---- A gallery to look at -------------------------------------------------------------------------
seed=3
for prompt in "a house, flat illustration" "a rocket, 3d" "a guitar, gradient" "a red apple, 3d" \
  "a snowy mountain at night" "a sailing boat, flat illustration" "a cactus, 3d"; do
  "$program" render --data "$data" --library "$library" --prompt "$prompt" --seed $((seed += 4)) \
    --out "$library/earlier" >/dev/null 2>&1
done
cat >"$data/studio.json" <<'JSON'
{"draft": {"model": "starter", "prompt": "a mountain lake at sunset", "size_px": [128, 128], "count": 1,
  "seed": {"value": 21, "locked": true},
  "sampling": {"steps": 24, "guidance": 4.0, "sampler": "dpmpp_2m", "schedule": "model"}}}
JSON

# ---- The window ------------------------------------------------------------------------------------
Xvfb "$screen" -screen 0 1280x800x24 -nolisten tcp >/dev/null 2>&1 &
pids+=($!)
export DISPLAY=$screen
for _ in $(seq 50); do xdotool getdisplaygeometry >/dev/null 2>&1 && break; sleep 0.1; done
"$program" --data "$data" --library "$library" >"$scratch/log" 2>&1 &
pids+=($!)
window=
for _ in $(seq 300); do
  window=$(xdotool search --onlyvisible --name '^Pentimento$' 2>/dev/null | tail -1) && [[ -n $window ]] && break
  sleep 0.1
done
[[ -n $window ]] || { echo "screenshots.sh: no window"; cat "$scratch/log"; exit 1; }
sleep 2
xdotool windowsize "$window" 1280 800 windowmove "$window" 0 0
sleep 1
xdotool windowfocus "$window"
sleep 3

shot() { # NAME: what the screen shows, once it has settled
  import -window root -strip "assets/screenshots/$1.png"
  echo "assets/screenshots/$1.png"
}
pictures() { find "$library" -name '*.png' -not -path '*/.*' -not -path '*/blobs/*' | wc -l; }
wait_for_picture() { # COUNT: until so many pictures lie in the gallery, at most five minutes
  for _ in $(seq 3000); do (($(pictures) >= $1)) && { sleep 1.5; return; }; sleep 0.1; done
  echo "screenshots.sh: no picture came"; exit 1
}

before=$(pictures)
xdotool key ctrl+Return
sleep 2.5
for _ in $(seq 100); do
  # The preview is there when the canvas's middle is no longer the desk's colour.
  [[ $(import -window root -crop 1x1+680+420 -depth 8 txt:- | grep -c '#121315') -eq 0 ]] && break
  sleep 0.2
done
sleep 1
shot forming
wait_for_picture $((before + 1))
shot studio

# ---- Paint over a part, and have it repainted ---------------------------------------------------------
xdotool key ctrl+shift+Return
sleep 1
xdotool mousemove 620 470 mousedown 1
for x in 640 660 680 700 720; do xdotool mousemove "$x" $((470 + (x - 620) / 6)); sleep 0.15; done
xdotool mouseup 1
sleep 1.5
shot repair

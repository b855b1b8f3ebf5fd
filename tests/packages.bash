# Sourced by the scripts beside it: `install_packages NAME...` installs Debian packages that are missing, where there are
# Debian packages, and otherwise or where it may not says so.

# What the window and a GPU in software need.
window_packages=(
  xvfb xauth                                             # a display
  libvulkan1 mesa-vulkan-drivers libegl1 libgl1-mesa-dri # a GPU in software
  libxcursor1 libxi6 libxkbcommon-x11-0                  # opened by the window at run time
  fonts-dejavu-core
)

install_packages() {
  local package missing=() root=()
  if ! command -v dpkg-query >/dev/null; then
    echo "no dpkg here: please see that Xvfb, a software Vulkan driver (lavapipe) and libxkbcommon-x11 are installed" >&2
    return
  fi
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  echo "installing ${missing[*]}" >&2
  ((EUID == 0)) || root=(sudo -n)
  if ! { "${root[@]}" apt-get update -q && "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends "${missing[@]}"; }; then
    echo "could not install them; what needs them will fail and say so" >&2
  fi
}

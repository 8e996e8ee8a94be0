#!/bin/sh
# Makes this checkout ready: a Python, a browser with its driver, a Java runtime and curl on the machine, and .venv with the
# pinned packages. `make setup` calls it; a second run finds everything in place and ends at once.
#
# On Debian and Ubuntu, what is missing comes through apt: directly as root, else through a sudo that needs no password.
# Where neither is possible, it prints what to run and ends with 1.
set -eu
cd "$(dirname "$0")/.."

stamp=.venv/setup-stamp
requirements="requirements-dev.txt requirements-spark-jars.txt"

say() {
    printf '%s\n' "$*" >&2
}

# ------------------------------------------------------------------------------------------------- what is here?

# A Python of at least 3.11 that can be started (a shim may exist for one that is not installed). 3.11 first: it is what
# Glue 5.1 runs, and what Spark 3.5 was made for.
find_python() {
    for candidate in python3.11 python3.12 python3.13 python3; do
        # The base of an activated .venv, which may have to be removed.
        "$candidate" -c '
import sys
sys.version_info >= (3, 11) or sys.exit(1)
print(sys._base_executable)' 2>/dev/null && return
    done
    return 1
}

# Ubuntu's chromium-browser and firefox packages only call the snap, whose confinement hides the download folder.
is_real_browser() {
    path=$(command -v "$1") || return 1
    case $(readlink -f "$path") in
        /snap/* | */bin/snap) return 1 ;;
    esac
    if head -c 4096 "$path" | grep -aq '/snap/'; then return 1; fi
}

# Chrome and Edge need no driver here: without one, webdriver-manager fetches the one that fits.
has_browser() {
    for browser in google-chrome google-chrome-stable microsoft-edge microsoft-edge-stable; do
        if is_real_browser "$browser"; then return 0; fi
    done
    for browser in chromium-headless-shell chrome-headless-shell chromium chromium-browser; do
        if is_real_browser "$browser" && command -v chromedriver >/dev/null; then return 0; fi
    done
    for browser in firefox firefox-esr; do
        if is_real_browser "$browser" && command -v geckodriver >/dev/null; then return 0; fi
    done
    return 1
}

java_command() {
    if [ -n "${JAVA_HOME:-}" ]; then printf '%s' "$JAVA_HOME/bin/java"; else command -v java || true; fi
}

# Spark 3.5 is made for Java 8, 11 and 17 and runs on 21; what came later took away what its Hadoop needs.
has_java() {
    java=$(java_command)
    [ -n "$java" ] || return 1
    major=$("$java" -version 2>&1 | sed -n 's/.* version "\(1\.\)\{0,1\}\([0-9]*\).*/\2/p' | head -n 1) || return 1
    [ -n "$major" ] && [ "$major" -ge 8 ] && [ "$major" -le 21 ]
}

fingerprint() {
    # The folder is in it because the scripts in .venv/bin name it.
    { pwd -P; cat $requirements; "$1" -VV; } | sha256sum | cut -d ' ' -f 1
}

is_ready() {
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(fingerprint .venv/bin/python 2>/dev/null)" ]
}

# --------------------------------------------------------------------------------------------- what is missing?

is_ubuntu() {
    grep -Eq '^ID="?ubuntu' "${OS_RELEASE:-/etc/os-release}" 2>/dev/null
}

explain_browser_on_ubuntu() {
    say "No browser found that can be driven. Ubuntu's own chromium and firefox packages are snaps, which a driver"
    say "cannot use here. Install Google Chrome, then run this again:"
    say "    wget https://dl.google.com/linux/direct/google-chrome-stable_current_amd64.deb"
    say "    ${as_root:+sudo }apt-get install -y ./google-chrome-stable_current_amd64.deb"
}

explain_without_apt() {
    say "This machine lacks, and there is no apt-get to install it:"
    for thing in $missing; do
        case $thing in
            python) say "  - Python 3.11 or newer, with its venv module" ;;
            venv) say "  - the venv module of $python" ;;
            browser) say "  - Chromium with chromedriver, or Google Chrome, Microsoft Edge, or Firefox with geckodriver" ;;
            java) say "  - a Java runtime, version 17" ;;
            curl) say "  - curl" ;;
        esac
    done
    say "Install it, then run this again."
}

find_missing() {
    missing=
    if python=$(find_python); then
        "$python" -c 'import ensurepip, venv' >/dev/null 2>&1 || missing="$missing venv"
    else
        missing="$missing python"
    fi
    has_browser || missing="$missing browser"
    has_java || missing="$missing java"
    # The README's session uses it, and the test of the README.
    command -v curl >/dev/null || missing="$missing curl"
}

# The packages that give what is missing. Which of them exist is only known once apt has its lists.
packages_for_missing() {
    for thing in $missing; do
        case $thing in
            python) first_known python3.11 python3.12 python3.13; first_known python3.11-venv python3.12-venv python3.13-venv ;;
            venv) "$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])' ;;
            browser) first_known chromium-headless-shell chromium; printf '%s\n' chromium-driver ;;
            curl) printf '%s\n' curl ;;
            java) first_known openjdk-17-jre-headless openjdk-21-jre-headless default-jre-headless ;;
        esac
    done | tr '\n' ' '
}

first_known() {
    for name in "$@"; do
        if apt-cache show --no-all-versions "$name" 2>/dev/null | grep -q '^Package:'; then
            printf '%s\n' "$name"
            return
        fi
    done
    # None is known, or the lists are empty and nobody may fetch them: name the one that should be there.
    printf '%s\n' "$1"
}

install_missing() {
    if ! command -v apt-get >/dev/null; then
        explain_without_apt
        exit 1
    fi
    as_root=
    [ "$(id -u)" -eq 0 ] || as_root="sudo -n"
    case $missing in
        *browser*) if is_ubuntu; then explain_browser_on_ubuntu; exit 1; fi ;;
    esac
    if [ -n "$as_root" ] && ! $as_root true 2>/dev/null; then
        say "Some packages are missing, and installing them needs root. Run this, then run the same command again:"
        say "    sudo apt-get update"
        say "    sudo apt-get install -y --no-install-recommends $(packages_for_missing)"
        exit 1
    fi
    say "Missing:$missing. Asking apt for it ..."
    $as_root apt-get update -qq
    packages=$(packages_for_missing)
    say "Installing $packages..."
    # Java's packages link manual pages into a folder that small images do not have.
    $as_root mkdir -p /usr/share/man/man1
    # shellcheck disable=SC2086 # package names are words
    if ! output=$($as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages 2>&1)
    then
        say "$output"
        say "apt-get could not install $packages; the reason is above."
        exit 1
    fi
    find_missing
    if [ -n "$missing" ]; then
        say "apt installed what was asked of it, but this is still missing:$missing"
        explain_without_apt
        exit 1
    fi
}

# ------------------------------------------------------------------------------------------------------- .venv

# uv installs the same packages by the same hashes in a fifth of pip's time; itself it comes through pip. Where it cannot
# reach what pip reaches, as behind an index that only pip's configuration names, pip does all of it.
install_packages() {
    if install_with_uv; then return; fi
    set -- -qq --disable-pip-version-check --no-input --require-hashes
    .venv/bin/python -m pip install "$@" -r requirements-dev.txt
    # This package pins an old pyspark; only the jars that it carries are used.
    .venv/bin/python -m pip install "$@" --no-deps -r requirements-spark-jars.txt
}

install_with_uv() {
    sed -n '/^uv==/,/[^\\]$/p' requirements-dev.txt >.venv/uv.txt
    [ -s .venv/uv.txt ] || return
    .venv/bin/python -m pip install -qq --disable-pip-version-check --no-input --require-hashes -r .venv/uv.txt || return
    # As pip does, and unlike uv left to itself: where PYTHONDONTWRITEBYTECODE is set, as in many images, every process of
    # the local cloud, the API and the job would compile pandas and the like anew.
    set -- --quiet --require-hashes --compile-bytecode --python .venv/bin/python
    .venv/bin/python -m uv pip install "$@" -r requirements-dev.txt &&
        .venv/bin/python -m uv pip install "$@" --no-deps -r requirements-spark-jars.txt && return
    say "uv could not install them all; pip goes on."
    return 1
}

make_venv() {
    # No stamp until all is done: whatever interrupts this, the next run does it again.
    rm -f "$stamp"
    # A .venv whose Python is gone, that is half made, or that was made in another folder cannot be mended.
    if ! .venv/bin/python -c '' 2>/dev/null || ! head -n 1 .venv/bin/pip 2>/dev/null | grep -qF "$(pwd -P)/.venv/"; then
        say "Making .venv with $("$python" -V) ..."
        rm -rf .venv
        "$python" -m venv .venv
    fi
    say "Installing the Python packages into .venv (a minute or two the first time) ..."
    install_packages
    # It halves the start of Spark; whatever keeps it from being built keeps nothing else from working.
    .venv/bin/python -m local.spark_archive || say "Spark's class archive could not be built: Spark starts slower."
    fingerprint .venv/bin/python >"$stamp.new"
    mv "$stamp.new" "$stamp"
}

# One look at the machine first: packages may have gone since the stamp was written.
if is_ready && has_browser && [ -n "$(java_command)" ] && command -v curl >/dev/null; then exit 0; fi
find_missing
[ -z "$missing" ] || install_missing
is_ready || make_venv
say "Ready: $(.venv/bin/python -V), .venv"

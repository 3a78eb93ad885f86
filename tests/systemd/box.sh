#!/bin/sh
# Become the first process of a machine of its own: everything of this one can be read there, and nothing changed.
# Runs inside `unshare --mount --pid --ipc --uts --cgroup --net --fork`.
#
#   box.sh WORK SHARED PYTHON PACKAGES
#
# WORK: an empty folder, on which the machine is built. SHARED: a folder that is /run/box there; `scenario.py` in it is
# run, and results are left in it. PYTHON: where the interpreter is installed. PACKAGES: becomes /opt/packages.
set -eu
work=$1 shared=$2 python=$3 packages=$4
cannot() {
	echo "no box can be made here: $1" >&2
	exit 77
}

mount --make-rprivate / || cannot "mounts cannot be made private"
mount -t tmpfs box "$work" || cannot "no tmpfs can be mounted"
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$work/root" ||
	cannot "no overlay of / can be mounted"
root=$work/root

mount -t proc proc "$root/proc" || cannot "no /proc can be mounted"
mount -t sysfs -o ro sysfs "$root/sys" || cannot "no /sys can be mounted"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup" || cannot "no cgroup2 can be mounted"
mount -t tmpfs -o mode=755 run "$root/run"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
mount -t tmpfs -o mode=755 dev "$root/dev"
for device in null:3 zero:5 full:7 random:8 urandom:9; do
	mknod -m 666 "$root/dev/${device%%:*}" c 1 "${device#*:}"
done
mknod -m 666 "$root/dev/tty" c 5 0
for link in stdin:fd/0 stdout:fd/1 stderr:fd/2 fd:fd; do
	ln -s "/proc/self/${link#*:}" "$root/dev/${link%%:*}"
done
mkdir "$root/dev/shm" "$root/dev/pts" "$root/dev/mqueue"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666 pts "$root/dev/pts"
mount -t mqueue mqueue "$root/dev/mqueue"
ln -s pts/ptmx "$root/dev/ptmx"

mkdir "$root/run/box" "$root/opt/packages"
mount --bind "$shared" "$root/run/box"
mount --bind "$packages" "$root/opt/packages"
mkdir -p "$root$python"
mount --bind "$python" "$root$python"
# The service's own user has to reach the interpreter, wherever it was installed.
while [ "$python" != / ]; do
	python=$(dirname "$python")
	[ -k "$root$python" ] || chmod a+x "$root$python"
done

# Nothing of this machine starts there but journald and what is tested.
cat >"$root/etc/systemd/system/box.target" <<-UNIT
	[Unit]
	DefaultDependencies=no
	Wants=systemd-journald.service box.service
UNIT
cat >"$root/etc/systemd/system/box.service" <<-UNIT
	[Unit]
	DefaultDependencies=no
	After=systemd-journald.service
	[Service]
	Type=oneshot
	ExecStart=/bin/sh /run/box/inside.sh
	StandardOutput=truncate:/run/box/said.txt
	StandardError=inherit
	ExecStopPost=/bin/systemctl exit 0
UNIT

mkdir "$root/.before"
cd "$root"
pivot_root . .before
umount -l /.before
export container=box
exec /lib/systemd/systemd --system --unit=box.target --log-level=warning

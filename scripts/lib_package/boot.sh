# Boots systemd as the first process of its namespaces, on the root folder under an overlay in
# memory. Arguments: the folder of the test, the terminal for the console.
set -e
place=$1
console=$2
root=$place/system

mount -t tmpfs tmpfs "$root"
mkdir "$root/upper" "$root/work" "$root/root"
mount -t overlay overlay \
    -o "lowerdir=/,upperdir=$root/upper,workdir=$root/work" "$root/root"
root=$root/root
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,ro,bind "$root/proc/sys"
mount --rbind /sys "$root/sys"
mount --make-rslave "$root/sys"
mount -o remount,ro,bind "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
: >"$root/dev/console"
mount --bind "$console" "$root/dev/console"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mkdir -p "$root/mnt"
# It forbids to start services, in containers.
rm -f "$root/usr/sbin/policy-rc.d"
mount --bind "$place" "$root/mnt"
ip link set lo up

# Only what the test needs is started: no service of the machine, and none that changes its kernel.
units=$root/etc/systemd/system
mkdir -p "$units"
cat >"$units/life.service" <<'END'
[Unit]
DefaultDependencies=no
Requires=sysinit.target
After=sysinit.target
FailureAction=exit-force
SuccessAction=exit-force
[Service]
Type=oneshot
StandardOutput=tty
ExecStart=/bin/bash /mnt/life.sh
END
cat >"$units/life.target" <<'END'
[Unit]
Requires=life.service
END
for unit in systemd-udevd systemd-udev-trigger systemd-timesyncd systemd-networkd \
    systemd-resolved systemd-hwdb-update systemd-modules-load systemd-sysctl systemd-binfmt \
    systemd-remount-fs systemd-tmpfiles-setup-dev; do
    ln -sf /dev/null "$units/$unit.service"
done
ln -sf /dev/null "$units/proc-sys-fs-binfmt_misc.automount"
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    chroot "$root" /lib/systemd/systemd --system --unit=life.target --log-target=console

# The life of the package, run by systemd in the test system. Makes /mnt/report, which shows that
# systemd has booted, and writes a line to it for each step that has passed, then "end"; or what
# failed.
set -u
: >/mnt/report
url=http://127.0.0.1:8080
config=/etc/tenkay/tenkay.toml
mkdir -p /srv/site
echo one >/srv/site/page
exec 2>/mnt/errors

fail() {
    echo "FAILED: $*" >>/mnt/report
    tail -n 20 /mnt/errors >>/mnt/report
    systemctl status tenkay.service >>/mnt/report 2>&1
    journalctl -n 30 -u tenkay.service >>/mnt/report 2>&1
    exit 1
}
passed() { echo "passed: $*" >>/mnt/report; }
property() { systemctl show --value -p "$1" tenkay.service; }
get() { curl -s --max-time 5 "$url$1"; }
# The supervisor answers a reload and an upgrade when the new workers are ready; await that.
await() { # await WHAT COMMAND...
    what=$1
    shift
    for _ in $(seq 100); do
        "$@" && return
        sleep 0.1
    done
    fail "$what"
}

dpkg -i /mnt/first.deb >/mnt/dpkg.log 2>&1 || fail "dpkg -i"
[ "$(property ActiveState)" = active ] || fail "the service is not active"
get / | grep -q "tenkay is running" || fail "the welcome page"
pid=$(property MainPID)
[ "$(ps -o user= -p "$pid")" = tenkay ] || fail "the service does not run as tenkay"
passed "installed, started as the user tenkay"

[ -f /usr/share/man/man1/tenkay.1.gz ] || fail "the manual page"
bash -c '. /usr/share/bash-completion/completions/tenkay; complete -p tenkay' | grep -q tenkay ||
    fail "the completions of bash"
systemd-analyze verify --man=no tenkay.service 2>&1 | grep tenkay && fail "systemd-analyze verify"
exposure=$(systemd-analyze security --no-pager tenkay.service | grep -o 'level for.*: [0-9.]*')
passed "manual page, completions, unit file (exposure ${exposure##*: } of 10)"

sed -i 's#^root = .*#root = "/srv/site"#' $config
systemctl reload tenkay.service || fail "systemctl reload"
serves() { [ "$(get /page)" = one ]; }
await "the new root is not served after a reload" serves
[ "$(property MainPID)" = "$pid" ] || fail "the reload changed the process"
passed "reloaded"

[ "$(stat -c '%U %a' /var/lib/tenkay)" = "tenkay 755" ] || fail "/var/lib/tenkay"
echo certificate >/mnt/certificate
(umask 077 && echo key >/mnt/key)
RENEWED_LINEAGE='' /usr/lib/tenkay/install-certificate example.org /mnt/certificate /mnt/key ||
    fail "install-certificate"
[ "$(stat -c '%U:%G %a' /etc/tenkay/tls/example.org.key)" = "root:tenkay 640" ] ||
    fail "the owner or the mode of the key"
[ "$(runuser -u tenkay -- cat /etc/tenkay/tls/example.org.key)" = key ] ||
    fail "the user tenkay cannot read the key"
passed "a certificate installed for the user tenkay"

cp $config /mnt/good.toml
echo 'lissten = ":80"' >>$config
systemctl reload tenkay.service && fail "the reload of a broken configuration file succeeded"
serves || fail "a broken configuration file stopped the service"
[ "$(property MainPID)" = "$pid" ] || fail "a broken configuration file ended the service"
cp /mnt/good.toml $config
passed "a broken configuration file changed nothing"

# New connections without a pause, while the package is upgraded.
(
    count=0
    while [ ! -e /mnt/enough ]; do
        [ "$(get /page)" = one ] || echo lost >>/mnt/lost
        count=$((count + 1))
    done
    echo $count >/mnt/count
) &
load=$!
dpkg -i /mnt/second.deb >>/mnt/dpkg.log 2>&1 || fail "dpkg -i of the upgrade"
is_new() { readlink "/proc/$pid/exe" | grep -qv deleted; }
await "the running program is still the old one" is_new
touch /mnt/enough
wait $load
[ -e /mnt/lost ] &&
    fail "$(wc -l </mnt/lost) of $(cat /mnt/count) requests were lost in the upgrade"
[ "$(property MainPID)" = "$pid" ] || fail "the upgrade changed the process"
[ "$(property NRestarts)" = 0 ] || fail "the upgrade restarted the service"
grep -q /srv/site $config || fail "the upgrade changed the configuration file"
passed "upgraded; $(cat /mnt/count) requests meanwhile, none lost"

# The commands of docs/guide.md, which package-test has made a script of.
cp $config /mnt/good.toml
dpkg -P tenkay >>/mnt/dpkg.log 2>&1 || fail "dpkg -P"
mkdir /srv/guide
cp /mnt/second.deb /srv/guide/tenkay_amd64.deb
cd /srv/guide && bash -eux /mnt/guide.sh >/mnt/guide.log 2>&1 || {
    cat /mnt/guide.log >>/mnt/errors
    fail "the commands of docs/guide.md"
}
pid=$(property MainPID)
passed "the commands of docs/guide.md"

dpkg -r tenkay >>/mnt/dpkg.log 2>&1 || fail "dpkg -r"
kill -0 "$pid" 2>/dev/null && fail "the process still runs after the removal"
[ -f $config ] || fail "the removal deleted the configuration file"
passed "removed; the configuration file is kept"

dpkg -i /mnt/second.deb >>/mnt/dpkg.log 2>&1 || fail "dpkg -i after the removal"
[ "$(property ActiveState)" = active ] || fail "it was not started after the removal"
systemctl stop tenkay.service
dpkg -i /mnt/second.deb >>/mnt/dpkg.log 2>&1 || fail "dpkg -i of a stopped service"
[ "$(property ActiveState)" = inactive ] || fail "an upgrade started a stopped service"
passed "installed again: started; upgraded while stopped: left so"

dpkg -P tenkay >>/mnt/dpkg.log 2>&1 || fail "dpkg -P"
[ -e /etc/tenkay ] && fail "/etc/tenkay is left"
[ -e /var/log/tenkay ] && fail "/var/log/tenkay is left"
[ -e /var/lib/tenkay ] && fail "/var/lib/tenkay is left"
[ -e /etc/logrotate.d/tenkay ] && fail "the logrotate file is left"
passed "purged"
echo end >>/mnt/report

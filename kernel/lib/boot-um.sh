# shellcheck shell=bash
# Sourced by kernel/boot: a kernel that was built as a program (ARCH=um) is run as one. It needs neither
# KVM nor an emulator nor root, its code runs at the speed of any other program, and each of its CPUs is
# a thread.
#
# The root it mounts is the host's, through hostfs; what it may write there is lib/um-host's affair.

# Tests look for what two CPUs do to each other, so there are two at least, whatever that costs in speed.
# On a larger host, one less than it has: a thread that loses its CPU while it holds a spinlock has all
# others wait for it.
um_default_cpus()
{
	local cpus

	cpus=$(($(nproc) - 1))
	echo $((cpus < 2 ? 2 : cpus > 64 ? 64 : cpus))
}

um_check()
{
	local have want why

	need perl unshare mount timeout
	[ $accel = auto ] && [ -z "$qemu$icount" ] || usage_error "--accel, --icount and --qemu are for the flavours that QEMU runs, not for user-mode Linux"
	why=$("$kernel" --version 2>&1) || {
		[ -x "$kernel" ] || chmod +x "$kernel" 2>/dev/null || true
		why=$("$kernel" --version 2>&1) ||
			die "$kernel does not start: ${why##*: }; is its file system mounted noexec? set ACCEPT_DUP_CACHE to a folder on another one"
	}
	"$LIB_DIR/um-host" --check || exit
	want=$(memory_mib)
	have=$(awk '$1 == "MemAvailable:" { print int($2 / 1024) }' /proc/meminfo)
	[ "$have" -ge "$want" ] || die "$have MiB of memory are free here, --memory asks for $want; ask for less"
}

memory_mib()
{
	case $memory in
	*G) echo $((${memory%G} * 1024)) ;;
	*) echo "${memory%M}" ;;
	esac
}

um_describe()
{
	echo "user-mode Linux: native code"
}

# The guest's init. Output goes through two consoles of its own, raw, so that what is written arrives as it
# is; the pipes in front of them have programs see what they see under the other flavours, no terminal.
um_write_init()
{
	cat <<'GUEST'
#!/bin/bash
# a kernel whose init ends panics, and that ends the machine
set -e
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8
# To a user of the host its root's files are nobody's, and mount(8), run with that set-user-ID bit, would be too:
# mount(2), MS_REMOUNT | MS_BIND | MS_NOSUID.
perl -e 'my ($none, $root) = ("none", "/"); syscall(165, $none, $root, $none, 4096 | 32 | 2, 0) == 0 or die "remount: $!\n"'
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mountpoint -q /dev || mount -t devtmpfs devtmpfs /dev
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t mqueue mqueue /dev/mqueue
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ln -s fd/1 /dev/stdout
ln -s fd/2 /dev/stderr
stty -F /dev/tty1 raw -echo
stty -F /dev/tty2 raw -echo
mkfifo /run/out /run/err
cat </run/out >/dev/tty1 &
cats=$!
cat </run/err >/dev/tty2 &
cats="$cats $!"
set +e
GUEST
	printf 'bash %q </dev/null >/run/out 2>/run/err\n' "$run/guest"
	cat <<'GUEST'
# what is still in the pipes; a program left behind by the command may hold them open for ever
timeout 5 tail -s 0.1 --pid="${cats% *}" -f /dev/null
timeout 5 tail -s 0.1 --pid="${cats#* }" -f /dev/null
stty -F /dev/tty1 raw
stty -F /dev/tty2 raw
sync
echo o >/proc/sysrq-trigger
sleep 60
GUEST
}

# Runs it to its end. What the kernel writes before it has a console goes to its standard output, so the log
# goes there as well.
um_run()
{
	local arguments=(
		"mem=$memory" "ncpus=$cpus" seccomp=on "uml_dir=$run/memory/" umid=um
		root=/dev/root rootfstype=hostfs rootflags=/ rw "init=$run/init"
		con=null con0=null,fd:1 con1=null,fd:3 con2=null,fd:4 console=tty0
		ignore_loglevel printk.devkmsg=on log_buf_len=4M oops=panic
	)
	local arg pipe readers=() status=0

	for arg in $append; do
		arguments+=("$arg")
	done
	um_write_init >"$run/init"
	chmod +x "$run/init"
	mkdir "$run/memory"
	for pipe in log out err; do
		mkfifo "$run/pipe.$pipe"
	done
	cat <"$run/pipe.log" >>"$guest_log" &
	readers+=($!)
	cat <"$run/pipe.out" &
	readers+=($!)
	cat <"$run/pipe.err" >&2 &
	readers+=($!)
	set -m
	timeout -k 10 $((limit + BOOT_ALLOWANCE_S)) "$LIB_DIR/um-host" "$run/memory" $(($(memory_mib) + 64)) ${rwdirs[@]+"${rwdirs[@]}"} -- \
		"$kernel" "${arguments[@]}" </dev/null >"$run/pipe.log" 2>&1 3>"$run/pipe.out" 4>"$run/pipe.err" &
	machine=$!
	set +m
	# (2>: bash says which signal ended it)
	wait "$machine" 2>/dev/null || status=$?
	# the processes of its programs end with it, but for a moment
	kill -KILL -- "-$machine" 2>/dev/null || true
	machine=
	wait "${readers[@]}"
	return $status
}

# um_explain STATUS: why it did not get to the command, if the log tells
um_explain()
{
	if grep -q 'SECCOMP userspace requested but not functional\|check_seccomp\|SMP is not supported with PTRACE' "$guest_log"; then
		echo "this host lets no program install a seccomp filter or handle its SIGSYS, which user-mode Linux runs its processes with; a container may forbid it (--security-opt seccomp=unconfined)"
	elif grep -q 'must be not mounted noexec\|Checking PROT_EXEC mmap.*not permitted' "$guest_log"; then
		echo "this host lets no program execute memory that is in a file on a tmpfs; SELinux or a hardened kernel may forbid it"
	elif grep -qi 'Cannot allocate memory\|ENOMEM\|No space left' "$guest_log"; then
		echo "this host does not give it $memory of memory; --memory can be less"
	elif grep '^um-host: ' "$guest_log"; then
		:
	elif [ "$1" = 137 ] || [ "$1" = 135 ]; then
		echo "it was killed: this host, or the container this runs in, has less memory than --memory $memory"
	else
		return 1
	fi
}

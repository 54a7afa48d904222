# Sourced by kernel/boot: a kernel for a PC is booted in QEMU, by virtme-ng.

# A /dev/kvm alone proves nothing: it can belong to a hypervisor that cannot run an ordinary kernel,
# and then the guest hangs before its first line.
kvm_works()
{
	grep -qwE -m1 'vmx|svm' /proc/cpuinfo && : 2>/dev/null <>/dev/kvm
}

qemu_default_cpus()
{
	echo 2
}

qemu_check()
{
	need qemu-system-x86_64 python3 timeout
	if [ -n "$icount" ]; then
		[ $accel != kvm ] || usage_error "--icount is for an emulated guest, and --accel kvm has none"
		accel=tcg
	elif [ $accel = auto ]; then
		kvm_works && accel=kvm || accel=tcg
	elif [ $accel = kvm ]; then
		kvm_works || die "no KVM here: the CPU shows neither vmx nor svm, or /dev/kvm does not open"
	fi
}

qemu_describe()
{
	[ $accel = kvm ] && echo KVM || echo 'TCG: emulated, no figure here is a speed'
}

# What virtme's init, a bash script, reads first (BASH_ENV): most of its time would be spent by udev and
# systemd-tmpfiles, and all that is wanted of them here are the names of the ports that the command
# talks through. bash takes a function for a program also where it is called by its path.
qemu_write_prelude()
{
	cat <<'GUEST'
unset BASH_ENV
systemd-tmpfiles() { :; }
udevadm() { :; }
udevd()
{
	local port name

	mkdir -p /dev/virtio-ports
	for port in /sys/class/virtio-ports/*; do
		read -r name <"$port/name" && ln -sf "../${port##*/}" "/dev/virtio-ports/$name"
	done
}
/usr/lib/systemd/systemd-udevd() { udevd; }
/lib/systemd/systemd-udevd() { udevd; }
GUEST
}

# Runs it to its end.
qemu_run()
{
	local options=(
		--kimg "$kernel" --mods none --memory "$memory" --cpus "$cpus" --disable-microvm --force-9p
		--name accept-dup --script-sh "bash $run/guest"
		--kopt console=ttyS1,115200 --kopt ignore_loglevel --kopt printk.devkmsg=on --kopt oops=panic
		--kopt log_buf_len=4M
		# On a busy machine an emulated timer can tick too late for the kernel's own check of it, which panics.
		--kopt no_timer_check
		# The root is read-only and read over and over, by every program that starts: keep what was read.
		# Without this a boot takes twice as long. (The last rootflags counts, these come after virtme's.)
		--kopt rootflags=version=9p2000.L,trans=virtio,access=any,cache=loose,msize=262144
		--kopt "BASH_ENV=$run/prelude"
	)
	local dir arg status=0

	qemu_write_prelude >"$run/prelude"
	[ $accel = kvm ] || options+=(--disable-kvm)
	for dir in ${rwdirs[@]+"${rwdirs[@]}"}; do
		# Named twice: virtme-run looks a single name up from the current folder. And it takes none at
		# all without an overlay, though it does not use it for this.
		options+=(--overlay-rwdir /var/tmp --rwdir "$dir=$dir")
	done
	for arg in $append; do
		options+=(--kopt "$arg")
	done
	options+=(--qemu-opts)
	if [ -n "$icount" ]; then
		# no waiting for the host's clock, neither when idle nor when the guest's is behind or ahead
		options+=(-accel tcg,thread=single -icount shift=0,sleep=off,align=off)
	elif [ $accel = tcg ]; then
		options+=(-accel tcg,thread=multi)
	fi
	# virtme-run throws the first serial port away; the kernel speaks there from its first line on.
	# shellcheck disable=SC2206 # words are meant
	options+=(-set "chardev.console.path=$guest_log" $qemu)

	# QEMU wants pipes for its output, and a process group of its own makes sure it can be ended whole.
	exec 3>&1 4>&2
	set -m
	timeout -k 10 $((limit + BOOT_ALLOWANCE_S)) "$LIB_DIR/virtme" "${options[@]}" </dev/null 2> >(cat >&4) > >(cat >&3) 3>&- 4>&- &
	machine=$!
	set +m
	wait "$machine" || status=$?
	machine=
	exec 3>&- 4>&-
	return $status
}

qemu_explain()
{
	return 1
}

# shellcheck shell=bash
# Sourced by kernel/boot: a kernel for arm64 is booted in QEMU's machine "virt", emulated.
#
# Its root is the host's, by 9p, read-only; but the host's programs are for another architecture, so the only program
# of the machine's own is lib/arm64-init.c, in an initramfs. Output comes through two virtio ports.

ARM64_CROSS=aarch64-linux-gnu-
# It has the atomic instructions of Armv8.1 and no pointer authentication, which is most of what emulating a newer one costs.
ARM64_CPU=cortex-a76

arm64_default_cpus()
{
	echo 2
}

arm64_check()
{
	[ $accel != kvm ] && [ -z "$icount" ] || usage_error "--accel kvm and --icount are not for arm64"
	accel=tcg
	need timeout cpio
	command -v qemu-system-aarch64 >/dev/null || die "missing: qemu-system-aarch64; install qemu-system-arm"
	[ "$(uname -m)" != aarch64 ] || ARM64_CROSS=
	command -v "${ARM64_CROSS}gcc" >/dev/null || die "missing: ${ARM64_CROSS}gcc; install gcc-aarch64-linux-gnu"
	[ ${#rwdirs[@]} -le 30 ] || usage_error "--rwdir: 30 folders at most"
}

arm64_describe()
{
	echo 'arm64, TCG: emulated, no figure here is a speed'
}

# arm64_write_initramfs FILE WORD...: the init, and what it is to run
arm64_write_initramfs()
{
	local file=$1 folder=$run/initramfs
	shift

	mkdir "$folder"
	"${ARM64_CROSS}gcc" -O2 -Wall -Wextra -Werror -D_GNU_SOURCE -static -o "$folder/init" "$LIB_DIR/arm64-init.c" ||
		die "lib/arm64-init.c does not build: is there a libc for arm64 (libc6-dev-arm64-cross)?"
	printf '%s\0' "$PWD" "$limit" ${#rwdirs[@]} ${rwdirs[@]+"${rwdirs[@]}"} "$@" >"$folder/command"
	(cd "$folder" && printf '%s\n' init command | cpio -o -H newc -R 0:0 --quiet) >"$file"
}

# arm64_run COMMAND...: runs it to its end
arm64_run()
{
	local options=(
		-name accept-dup -machine virt,gic-version=3 -cpu "$ARM64_CPU" -accel tcg,thread=multi
		-smp "$cpus" -m "$memory" -display none -monitor none -nodefaults -no-reboot
		-serial "file:$guest_log" -kernel "$kernel" -initrd "$run/initrd"
		-append "console=ttyAMA0 ignore_loglevel printk.devkmsg=on log_buf_len=4M oops=panic panic=-1 $append"
		-fsdev local,id=root,path=/,security_model=none,multidevs=remap,readonly=on
		-device virtio-9p-device,fsdev=root,mount_tag=root
		-chardev "file,id=out,path=$run/pipe.out" -chardev "file,id=err,path=$run/pipe.err"
		-device virtio-serial-device -device virtserialport,name=out,chardev=out -device virtserialport,name=err,chardev=err
	)
	local i readers=() status=0

	arm64_write_initramfs "$run/initrd" "$@"
	for i in "${!rwdirs[@]}"; do
		# (a comma in a value is written twice)
		options+=(-fsdev "local,id=folder$i,path=${rwdirs[i]//,/,,},security_model=none,multidevs=remap"
			-device "virtio-9p-device,fsdev=folder$i,mount_tag=folder$i")
	done
	mkfifo "$run/pipe.out" "$run/pipe.err"
	cat <"$run/pipe.out" &
	readers+=($!)
	cat <"$run/pipe.err" >&2 &
	readers+=($!)
	set -m
	# shellcheck disable=SC2086 # words are meant
	timeout -k 10 $((limit + BOOT_ALLOWANCE_S)) qemu-system-aarch64 "${options[@]}" $qemu </dev/null >"$run/qemu" 2>&1 &
	machine=$!
	set +m
	wait "$machine" || status=$?
	machine=
	# what did not come so far as to open them
	: <>"$run/pipe.out" <>"$run/pipe.err"
	wait "${readers[@]}"
	grep -v 'terminating on signal' "$run/qemu" >&2 || true
	return $status
}

arm64_explain()
{
	return 1
}

# For test/kcsan and test/kmemleak, behind common.sh: the command line that they share. To be sourced.

folder=$(dirname "$KERNEL_DIR")/build/release/test
tests=()

# choose_tests LEFT_OUT ARGUMENT...: sets $tests, and $seconds if --seconds was given. Without names, all tests of the
# opcode but those in LEFT_OUT.
choose_tests()
{
	local left_out=" $1 " source name test

	shift
	while [ $# -gt 0 ]; do
		case $1 in
		--seconds)
			[ $# -ge 2 ] && [[ $2 =~ ^[1-9][0-9]*$ ]] || usage_error "--seconds needs a number"
			seconds=$2
			shift
			;;
		-h | --help) print_help "$0"; exit ;;
		-*) usage_error "unknown option $1" ;;
		*) tests+=("$1") ;;
		esac
		shift
	done
	if [ ${#tests[@]} = 0 ]; then
		for source in "$KERNEL_DIR"/test/dup_*.c; do
			name=$(basename "$source" .c)
			[[ $left_out == *" $name "* ]] || tests+=("$name")
		done
	fi
	for test in "${tests[@]}"; do
		[ -x "$folder/$test" ] || usage_error "there is no $folder/$test; build the preset release"
	done
}

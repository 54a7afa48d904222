/* SPDX-License-Identifier: MIT */
/*
 * Counts acquisitions without lock_stat, by fentry programs on the functions that take the lock once
 * per call. Exact for one process and for the functions listed in lock_calls.h. Needs BTF and BPF
 * trampolines (FTRACE with direct calls), which kernels of most distributions have and some cloud
 * kernels lack.
 */
#include "lock/lock.h"

#include <stdio.h>

#ifdef WITH_BPF

#include "lock/kallsyms.h"
#include "lock/lock_calls.h"
#include "lock_calls.skel.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* The kernel's own "not supported", which has no name here. */
#define ENOTSUPP 524

static bool closes_are_nested; /* a property of the running kernel */
/* replace_fd() over an open fd: it exchanges the file then, and takes the lock for none other here. */
static bool replaces_without_lock;

static int say_nothing(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

/* Programs on functions this kernel has not, or has inlined everywhere, are not loaded. */
static bool leave_out_what_is_missing(struct lock_calls_bpf *bpf, char *why, size_t why_len)
{
	struct btf *btf = btf__load_vmlinux_btf();
	struct bpf_program *program;

	if (!btf) {
		snprintf(why, why_len, "this kernel has no BTF");
		return false;
	}
	bpf_object__for_each_program(program, bpf->obj)
	{
		const char *function = strchr(bpf_program__section_name(program), '/') + 1;

		if (btf__find_by_name_kind(btf, function, BTF_KIND_FUNC) < 0)
			bpf_program__set_autoload(program, false);
	}
	btf__free(btf);
	if (bpf_program__autoload(bpf->progs.on_alloc_fd) &&
	    bpf_program__autoload(bpf->progs.on_file_close_fd) &&
	    bpf_program__autoload(bpf->progs.on_file_close_fd_locked))
		return true;
	snprintf(why, why_len,
		 "alloc_fd, file_close_fd or file_close_fd_locked is no function of its own here");
	return false;
}

/*
 * An fd that is opened and closed must be seen as one call of each. Whether the close
 * was seen in file_close_fd_locked as well depends on the compiler, and is noted.
 */
static bool is_right(struct lock_calls_bpf *bpf)
{
	int fd;

	bpf->bss->server = (__u32)getpid();
	fd = dup(STDERR_FILENO);
	close(fd);
	bpf->bss->server = 0;
	closes_are_nested = bpf->bss->calls[CALL_FILE_CLOSE_FD_LOCKED] == 1;
	return bpf->bss->calls[CALL_ALLOC_FD] == 1 && bpf->bss->calls[CALL_FILE_CLOSE_FD] == 1;
}

static void calls_stop(struct lock_instrument *self)
{
	lock_calls_bpf__destroy(self->state);
	self->state = NULL;
}

/* With the series exchange, which kernel/build writes into the release, as nothing else tells. */
static bool kernel_has_exchange(void)
{
	struct utsname kernel;

	return !uname(&kernel) && strstr(kernel.release, "-exchange-dup-");
}

static int calls_start(struct lock_instrument *self, char *why, size_t why_len)
{
	struct lock_calls_bpf *bpf;
	int ret;

	replaces_without_lock = kernel_has_exchange();
	libbpf_set_print(say_nothing);
	bpf = lock_calls_bpf__open();
	if (!bpf) {
		snprintf(why, why_len, "BPF cannot be opened: %s", strerror(errno));
		return -1;
	}
	self->state = bpf;
	if (!leave_out_what_is_missing(bpf, why, why_len)) {
		calls_stop(self);
		return -1;
	}
	ret = lock_calls_bpf__load(bpf);
	if (!ret)
		ret = lock_calls_bpf__attach(bpf);
	if (ret)
		snprintf(why, why_len,
			 "BPF on the functions that take the lock cannot be attached: %s (it takes "
			 "CAP_BPF, CAP_PERFMON and a kernel with FTRACE and BPF trampolines)",
			 ret == -ENOTSUPP ? "not supported" : strerror(-ret));
	else if (!is_right(bpf))
		snprintf(why, why_len,
			 "opening and closing an fd was not seen as one call of each");
	else
		return 0;
	calls_stop(self);
	return -1;
}

static void forget_callers(struct lock_calls_bpf *bpf)
{
	int map = bpf_map__fd(bpf->maps.callers);
	struct lock_calls_key key;

	while (!bpf_map_get_next_key(map, NULL, &key) && !bpf_map_delete_elem(map, &key))
		;
}

static void calls_aim(struct lock_instrument *self, pid_t server)
{
	struct lock_calls_bpf *bpf = self->state;

	forget_callers(bpf);
	bpf->bss->server = (__u32)server;
}

/* A close is seen in two functions where one calls the other; it is counted in the inner one. */
static bool is_counted(int call)
{
	if (call == CALL_REPLACE_FD && replaces_without_lock)
		return false;
	return call != CALL_FILE_CLOSE_FD || !closes_are_nested;
}

static double sum(const uint64_t *calls)
{
	double n = 0;

	for (int i = 0; i < LOCK_CALLS; i++)
		if (is_counted(i))
			n += (double)__atomic_load_n(&calls[i], __ATOMIC_RELAXED);
	return n;
}

static int calls_read(struct lock_instrument *self, struct lock_counts *counts, char *why,
		      size_t why_len)
{
	struct lock_calls_bpf *bpf = self->state;

	(void)why;
	(void)why_len;
	*counts = (struct lock_counts){
		.seen = LOCK_ACQUISITIONS | LOCK_NEIGHBOURS,
		.acquisitions = sum((const uint64_t *)bpf->bss->calls),
		.neighbour_acquisitions = sum((const uint64_t *)bpf->bss->neighbour_calls),
	};
	return 0;
}

/* ---- by caller ---- */

#define LOCK_CALLS_TEXT(call, function) #function,
static const char *const functions[] = { LOCK_CALLS_EACH(LOCK_CALLS_TEXT) };
#undef LOCK_CALLS_TEXT

/* Between a function that takes the lock and the one that wanted it. */
static bool is_wrapper(const char *name)
{
	static const char *const names[] = { "get_unused_fd_flags", "__get_unused_fd_flags",
					     "file_close_fd", "receive_fd", "receive_fd_replace" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

static bool is_entry(const char *name)
{
	return !strcmp(name, "do_syscall_64") || !strcmp(name, "x64_sys_call") ||
	       !strcmp(name, "invoke_syscall") || !strncmp(name, "entry_SYSCALL", 13) ||
	       !strncmp(name, "ret_from_fork", 13);
}

/* The frames beyond the function itself, which the trampoline's own frames come before. */
static void name_caller(struct lock_caller *caller, const uint64_t *stack)
{
	const char *names[LOCK_CALLS_DEPTH];
	size_t n = 0, first = 0;

	while (n < LOCK_CALLS_DEPTH && stack[n]) {
		names[n] = kallsyms_name(stack[n]);
		if (!strcmp(names[n], caller->function))
			first = n + 1;
		n++;
	}
	for (size_t i = first; i < n && !is_entry(names[i]); i++) {
		size_t used = strlen(caller->chain);

		snprintf(caller->chain + used, sizeof(caller->chain) - used, "%s%s",
			 used ? " < " : "", names[i]);
		if (!caller->caller[0] && !is_wrapper(names[i]))
			snprintf(caller->caller, sizeof(caller->caller), "%s", names[i]);
	}
	/* A system call that takes the lock itself, or a stack that could not be kept. */
	if (!caller->caller[0])
		snprintf(caller->caller, sizeof(caller->caller), "%s",
			 first ? "user space" : "not known");
}

static int by_calls(const void *p, const void *q)
{
	double a = ((const struct lock_caller *)p)->calls;
	double b = ((const struct lock_caller *)q)->calls;

	return (a < b) - (a > b);
}

static size_t calls_callers(struct lock_instrument *self, struct lock_caller *callers, size_t max)
{
	struct lock_calls_bpf *bpf = self->state;
	int map = bpf_map__fd(bpf->maps.callers), stacks = bpf_map__fd(bpf->maps.stacks);
	struct lock_calls_key key, *previous = NULL;
	size_t n = 0;

	while (n < max && !bpf_map_get_next_key(map, previous, &key)) {
		uint64_t stack[LOCK_CALLS_DEPTH] = { 0 }, calls = 0;

		previous = &key;
		if (!is_counted((int)key.call) || bpf_map_lookup_elem(map, &key, &calls))
			continue;
		if (key.stack >= 0)
			bpf_map_lookup_elem(stacks, &key.stack, stack);
		callers[n] = (struct lock_caller){ .function = functions[key.call],
						   .calls = (double)calls };
		name_caller(&callers[n++], stack);
	}
	qsort(callers, n, sizeof(*callers), by_calls);
	return n;
}

#else

static int calls_start(struct lock_instrument *self, char *why, size_t why_len)
{
	(void)self;
	snprintf(why, why_len, "this program was built without BPF (" WITHOUT_BPF_BECAUSE ")");
	return -1;
}

static void calls_stop(struct lock_instrument *self)
{
	(void)self;
}

static void calls_aim(struct lock_instrument *self, pid_t server)
{
	(void)self;
	(void)server;
}

static int calls_read(struct lock_instrument *self, struct lock_counts *counts, char *why,
		      size_t why_len)
{
	(void)self;
	(void)counts;
	snprintf(why, why_len, "built without BPF");
	return -1;
}

static size_t calls_callers(struct lock_instrument *self, struct lock_caller *callers, size_t max)
{
	(void)self;
	(void)callers;
	(void)max;
	return 0;
}

#endif

const struct lock_instrument lock_calls_instrument = {
	.name = "calls",
	.scope = "the server's calls of the functions that take file_lock",
	.blind = "fentry counts the calls of alloc_fd, put_unused_fd, file_close_fd, io_close, "
		 "replace_fd, dup2 and dup3, not the lock itself: a further caller would "
		 "be missed, and waits and holds are not seen",
	.one_process = true,
	.start = calls_start,
	.aim = calls_aim,
	.read = calls_read,
	.callers = calls_callers,
	.stop = calls_stop,
};

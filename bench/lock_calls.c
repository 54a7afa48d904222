/* SPDX-License-Identifier: MIT */
/*
 * Acquisitions without lock_stat: fentry on the functions that take the lock once a call. Exact for
 * the callers that are known here and for one process; needs BTF and BPF trampolines (FTRACE with
 * direct calls), which most distributions have and some cloud kernels have not.
 */
#include "lock.h"

#include <stdio.h>

#ifdef WITH_BPF

#include "lock_calls.h"
#include "lock_calls.skel.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* The kernel's own "not supported", which has no name here. */
#define ENOTSUPP 524

static bool closes_are_nested; /* a property of the running kernel */

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

static int calls_start(struct lock_instrument *self, char *why, size_t why_len)
{
	struct lock_calls_bpf *bpf;
	int ret;

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

static void calls_aim(struct lock_instrument *self, pid_t server)
{
	struct lock_calls_bpf *bpf = self->state;

	bpf->bss->server = (__u32)server;
}

static int calls_read(struct lock_instrument *self, struct lock_counts *counts, char *why,
		      size_t why_len)
{
	struct lock_calls_bpf *bpf = self->state;

	(void)why;
	(void)why_len;
	*counts = (struct lock_counts){ .seen = LOCK_ACQUISITIONS };
	for (int i = 0; i < LOCK_CALLS; i++)
		if (i != CALL_FILE_CLOSE_FD || !closes_are_nested)
			counts->acquisitions +=
				(double)__atomic_load_n(&bpf->bss->calls[i], __ATOMIC_RELAXED);
	return 0;
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

#endif

const struct lock_instrument lock_calls_instrument = {
	.name = "calls",
	.scope = "the server's calls of the functions that take file_lock",
	.blind =
		"fentry counts the calls of alloc_fd, put_unused_fd, file_close_fd, io_close, "
		"replace_fd, dup2 and dup3, not the lock itself: a further caller would be missed, "
		"and waits and holds are not seen",
	.one_process = true,
	.start = calls_start,
	.aim = calls_aim,
	.read = calls_read,
	.stop = calls_stop,
};

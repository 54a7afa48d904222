/*
 * dup_receive.c - DUP of a direct descriptor to an fd counts as receiving the file, as it does for
 * FIXED_FD_INSTALL.
 *
 * A received socket gets the net_cls class of the process that receives it. The test creates a socket
 * in one class, puts it into a slot, and moves the process to another class, which changes the class
 * of sockets that have fds but not of those in slots. Then the slot becomes an fd, and sock_diag shows
 * the socket's class. DUP of a slot must have the same result as FIXED_FD_INSTALL. DUP of an fd, like
 * dup2(), must not change the class: for that, a process that shares the table, and was in the other
 * class before the socket was created, does the DUP.
 *
 * Needs root, and the net_cls controller (cgroup v1).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

enum { SLOTS = 4, SLOT = 1, FD_TARGET = 130, CLASS_MADE = 0x10001, CLASS_RECEIVES = 0x20002 };

static char cgroup_root[] = "/tmp/dup_receive.XXXXXX";
static struct io_uring ring;

static void write_file(const char *name, const char *text)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", cgroup_root, name);
	fd = (int)MUST(open(path, O_WRONLY | O_CLOEXEC));
	MUST(write(fd, text, strlen(text)));
	close(fd);
}

static void make_class(const char *name, unsigned class)
{
	char path[256], text[32];

	snprintf(path, sizeof(path), "%s/%s", cgroup_root, name);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		MUST(-1);
	snprintf(path, sizeof(path), "%s/net_cls.classid", name);
	snprintf(text, sizeof(text), "%u", class);
	write_file(path, text);
}

static void move_to(const char *name)
{
	char path[256], text[32];

	snprintf(path, sizeof(path), "%s/cgroup.procs", name);
	snprintf(text, sizeof(text), "%d", getpid());
	write_file(path, text);
}

/* the class of the one socket that listens on that port */
static unsigned class_of(in_port_t port)
{
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 request;
	} message = {
		.header = { .nlmsg_len = sizeof(message),
			    .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.request = { .sdiag_family = AF_INET,
			     .sdiag_protocol = IPPROTO_TCP,
			     .idiag_ext = 0xff,
			     .idiag_states = 1 << 10 /* listening */ },
	};
	char buffer[1 << 14];
	unsigned class = 0;
	int fd = (int)MUST(socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));

	/* the class has no bit of its own in idiag_ext: it comes with the traffic class */
	MUST(send(fd, &message, sizeof(message), 0));
	for (;;) {
		ssize_t n = MUST(recv(fd, buffer, sizeof(buffer), 0));
		struct nlmsghdr *header = (struct nlmsghdr *)buffer;

		for (; NLMSG_OK(header, n); header = NLMSG_NEXT(header, n)) {
			struct inet_diag_msg *diag = NLMSG_DATA(header);
			struct rtattr *attribute = (struct rtattr *)(diag + 1);
			long rest = (long)NLMSG_PAYLOAD(header, sizeof(*diag));

			if (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR) {
				close(fd);
				return class;
			}
			if (diag->id.idiag_sport != port)
				continue;
			for (; RTA_OK(attribute, rest); attribute = RTA_NEXT(attribute, rest))
				if (attribute->rta_type == INET_DIAG_CLASS_ID)
					memcpy(&class, RTA_DATA(attribute), sizeof(class));
		}
	}
}

enum way {
	BY_INSTALL,
	BY_DUP,
	BY_DUP_ASYNC,
	BY_DUP_OVER_FLUSH,
	BY_DUP_OF_FD,
	BY_DUP2,
	BY_SLOT,
	WAYS
};

static const char *const way_names[] = {
	"FIXED_FD_INSTALL",	  "DUP of a slot",
	"DUP of a slot, ASYNC",	  "DUP of a slot over a file with ->flush",
	"DUP of an fd",		  "dup2",
	"DUP of a slot to a slot"
};

static int carry_out(enum way way, int fd)
{
	int flushed, result;

	switch (way) {
	case BY_INSTALL:
		io_uring_prep_fixed_fd_install(ring_sqe(&ring), SLOT, 0);
		return ring_submit_wait(&ring);
	case BY_DUP:
		return DUP(&ring, .fd = SLOT, .new_fd = FD_TARGET, .flags = DUP_OLD_FIXED);
	case BY_DUP_ASYNC:
		return DUP(&ring, .fd = SLOT, .new_fd = FD_TARGET, .flags = DUP_OLD_FIXED,
			   .sqe_flags = IOSQE_ASYNC);
	case BY_DUP_OVER_FLUSH:
		flushed = flush_file_make();
		MUST(dup3(flushed, FD_TARGET, O_CLOEXEC));
		result = DUP(&ring, .fd = SLOT, .new_fd = FD_TARGET, .flags = DUP_OLD_FIXED);
		close(flushed);
		return result;
	case BY_DUP_OF_FD:
		return DUP(&ring, .fd = fd, .new_fd = FD_TARGET);
	case BY_DUP2:
		return dup2(fd, FD_TARGET);
	default:
		return DUP(&ring, .fd = SLOT, .new_fd = SLOT + 1,
			   .flags = DUP_OLD_FIXED | DUP_NEW_FIXED);
	}
}

/*
 * A process with the same fds and another class: duplicates the fd that comes out of the pipe
 * FROM, once it has said on the pipe TO that it is where it should be.
 */
static void duplicate(enum way way, int from, int to)
{
	int fd, result;

	ring_open(&ring, 8, 0);
	move_to("receives");
	MUST(write(to, "", 1));
	MUST(read(from, &fd, sizeof(fd)));
	result = carry_out(way, fd);
	CHECK(result >= 0, "%s: %s", way_names[way], res_name(result));
	io_uring_queue_exit(&ring);
	_exit(result == FD_TARGET ? EXIT_GOOD : EXIT_FAILED);
}

struct duplicator {
	pid_t process;
	int to, from; /* our ends of the pipes */
	int theirs[2];
};

/* It has left its class before this returns. */
static struct duplicator duplicator_start(enum way way)
{
	struct duplicator d;
	int to[2], from[2];
	char ready;

	MUST(pipe2(to, O_CLOEXEC));
	MUST(pipe2(from, O_CLOEXEC));
	d = (struct duplicator){ .to = to[1], .from = from[0], .theirs = { to[0], from[1] } };
	d.process = (pid_t)MUST(syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL));
	if (d.process == 0)
		duplicate(way, to[0], from[1]);
	MUST(read(d.from, &ready, 1));
	return d;
}

static void duplicator_run(const struct duplicator *d, enum way way, int fd)
{
	int status;

	MUST(write(d->to, &fd, sizeof(fd)));
	MUST(waitpid(d->process, &status, 0));
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: status %#x", way_names[way],
	      status);
	close(d->to);
	close(d->from);
	close(d->theirs[0]);
	close(d->theirs[1]);
}

/* the class of a socket after it was received in that way; -1 if the kernel does not tell classes
 */
static long class_after(enum way way)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	bool keeps_fd = way == BY_DUP_OF_FD || way == BY_DUP2;
	struct duplicator duplicator;
	int fd, result = FD_TARGET;
	unsigned class;

	move_to("made");
	if (keeps_fd)
		duplicator = duplicator_start(way);
	fd = (int)MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	MUST(bind(fd, (struct sockaddr *)&address, sizeof(address)));
	MUST(listen(fd, 1));
	MUST(getsockname(fd, (struct sockaddr *)&address, &size));
	if (class_of(address.sin_port) != CLASS_MADE)
		return -1;
	if (keeps_fd) {
		duplicator_run(&duplicator, way, fd);
	} else {
		slot_set(&ring, SLOT, fd);
		close(fd);
		move_to("receives");
		CHECK(class_of(address.sin_port) == CLASS_MADE,
		      "%s: the class of a socket in a slot changed", way_names[way]);
		result = carry_out(way, -1);
		CHECK(result >= 0, "%s: %s", way_names[way], res_name(result));
		slot_set(&ring, SLOT, -1);
	}
	class = class_of(address.sin_port);
	if (keeps_fd)
		close(fd);
	if (way == BY_SLOT)
		slot_set(&ring, SLOT + 1, -1);
	else
		close(result);
	return (long)class;
}

int main(void)
{
	static const long expected[WAYS] = {
		[BY_INSTALL] = CLASS_RECEIVES,	 [BY_DUP] = CLASS_RECEIVES,
		[BY_DUP_ASYNC] = CLASS_RECEIVES, [BY_DUP_OVER_FLUSH] = CLASS_RECEIVES,
		[BY_DUP_OF_FD] = CLASS_MADE,	 [BY_DUP2] = CLASS_MADE,
		[BY_SLOT] = CLASS_MADE,
	};
	long class;

	test_start("dup_receive");
	ring_open(&ring, 8, 0);
	slots_register(&ring, SLOTS);
	MUST(mkdtemp(cgroup_root) ? 0 : -1);
	if (mount("net_cls", cgroup_root, "cgroup", 0, "net_cls") < 0) {
		printf("dup_receive: no net_cls controller: %s\n", strerror(errno));
		return EXIT_SKIPPED;
	}
	make_class("made", CLASS_MADE);
	make_class("receives", CLASS_RECEIVES);
	for (enum way way = 0; way < WAYS; way++) {
		class = class_after(way);
		if (class < 0) {
			printf("dup_receive: sock_diag does not tell the class of a socket\n");
			umount2(cgroup_root, MNT_DETACH);
			return EXIT_SKIPPED;
		}
		CHECK(class == expected[way], "%s: class %#lx, not %#lx", way_names[way], class,
		      expected[way]);
	}
	write_file("cgroup.procs", "0");
	umount2(cgroup_root, MNT_DETACH);
	rmdir(cgroup_root);
	return test_end();
}

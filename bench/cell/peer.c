/* SPDX-License-Identifier: MIT */
/* nginx, haproxy and the bare loop. See peer.h. */
#include "cell/peer.h"
#include "cell/path.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BODY	       "hello, world\n"
#define READY_LIMIT_NS 30000000000LL
#define READY_STEP_NS  20000000LL
#define CONFIG_MAX     4096

/* What a configuration depends on. */
struct setting {
	const char *folder;
	unsigned int workers, port;
	double version; /* 2.6 of "2.6.12" */
	bool own_tables;
};

/* One process for one worker, so that its CPU time and its fd table are the server's. */
static void nginx_config(FILE *out, const struct setting *s)
{
	const char *folder = s->folder;

	fprintf(out,
		"daemon off;\n"
		"master_process %s;\n"
		"worker_processes %u;\n"
		"worker_rlimit_nofile 20000;\n"
		"pid %s/pid;\n"
		"error_log stderr crit;\n"
		"events { worker_connections 16384; }\n"
		"http {\n"
		"	access_log off;\n"
		"	server_tokens off;\n"
		"	keepalive_requests 1000000;\n"
		"	client_body_temp_path %s/1;\n"
		"	proxy_temp_path %s/2;\n"
		"	fastcgi_temp_path %s/3;\n"
		"	uwsgi_temp_path %s/4;\n"
		"	scgi_temp_path %s/5;\n"
		"	default_type text/plain;\n"
		"	server {\n"
		"		listen 127.0.0.1:%u reuseport backlog=4096;\n"
		"		location / { return 200 \"hello, world\\n\"; }\n"
		"	}\n"
		"}\n",
		s->workers > 1 ? "on" : "off", s->workers, folder, folder, folder, folder, folder,
		folder, s->port);
}

#define SHARDS_SINCE 2.5
#define TABLES_SINCE 3.5

static void haproxy_config(FILE *out, const struct setting *s)
{
	fprintf(out, "global\n");
	if (s->own_tables)
		fprintf(out,
			"	expose-experimental-directives\n"
			"	thread-groups %u\n"
			"	tune.fd.tables per-thread-group\n",
			s->workers);
	fprintf(out,
		"	nbthread %u\n"
		"	maxconn 8192\n"
		"defaults\n"
		"	mode http\n"
		"	timeout client 30s\n"
		"	timeout server 30s\n"
		"	timeout connect 5s\n"
		"frontend hello\n"
		"	bind 127.0.0.1:%u backlog 4096%s\n"
		"	http-request return status 200 content-type text/plain file %s/body\n",
		s->workers, s->port, s->version >= SHARDS_SINCE ? " shards by-thread" : "",
		s->folder);
}

struct peer {
	const char *program, *variable; /* which the environment can name another one by */
	void (*config)(FILE *out, const struct setting *s);
	/* CONFIG stands for the file's path; of the bare loop: its options */
	const char *arguments[4];
	bool own_tables;
};

/* One for each row of PATH_PEERS: without it this does not compile. */
static const struct peer peer_bare = { .arguments = { NULL } };
static const struct peer peer_bare_tuned = { .arguments = { "--tuned" } };
static const struct peer peer_nginx = { .program = "nginx",
					.variable = "NGINX",
					.config = nginx_config,
					.arguments = { "-c", "CONFIG" } };
static const struct peer peer_haproxy = { .program = "haproxy",
					  .variable = "HAPROXY",
					  .config = haproxy_config,
					  .arguments = { "-db", "-f", "CONFIG" } };
static const struct peer peer_haproxy_tables = { .program = "haproxy",
						 .variable = "HAPROXY",
						 .config = haproxy_config,
						 .arguments = { "-db", "-f", "CONFIG" },
						 .own_tables = true };

static const struct peer *find(const char *name)
{
	static const struct peer *const peers[PATHS] = {
#define X(id, ...) [PATH_##id] = &peer_##id,
		PATH_PEERS(X)
#undef X
	};
	enum path_id id = path_rank(name);

	return id < PATHS ? peers[id] : NULL;
}

bool peer_is(const char *name)
{
	return find(name) != NULL;
}

bool peer_has_processes(const char *name, unsigned int workers)
{
	return path_rank(name) == PATH_nginx && workers > 1;
}

/* A port nobody has now. Somebody could take it before the peer does: the cell fails then. */
static bool free_port(struct sockaddr_in *address)
{
	socklen_t len = sizeof(*address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool good;

	*address = (struct sockaddr_in){ .sin_family = AF_INET,
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	good = fd >= 0 && !bind(fd, (struct sockaddr *)address, len) &&
	       !getsockname(fd, (struct sockaddr *)address, &len);
	if (fd >= 0)
		close(fd);
	return good;
}

static bool write_file(const char *folder, const char *name, const char *text)
{
	char path[512];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	out = fopen(path, "we");
	if (!out)
		return false;
	fputs(text, out);
	return !fclose(out);
}

static bool write_config(const struct peer *peer, struct server *server, unsigned int workers,
			 double version)
{
	const struct setting setting = { .folder = server->folder,
					 .workers = workers,
					 .port = ntohs(server->address.sin_port),
					 .version = version,
					 .own_tables = peer->own_tables };
	char text[CONFIG_MAX] = "";
	FILE *out = fmemopen(text, sizeof(text), "w");

	if (!out)
		return false;
	peer->config(out, &setting);
	fclose(out);
	return write_file(server->folder, "config", text) &&
	       write_file(server->folder, "body", BODY);
}

/* It listens when a connection to it is accepted by the kernel. */
static bool wait_until_it_listens(struct server *server)
{
	struct timespec step = { .tv_nsec = READY_STEP_NS };

	for (long long waited = 0; waited < READY_LIMIT_NS; waited += READY_STEP_NS) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		bool good =
			!connect(fd, (struct sockaddr *)&server->address, sizeof(server->address));

		close(fd);
		if (good)
			return true;
		if (child_has_ended(&server->child))
			return false;
		nanosleep(&step, NULL);
	}
	return false;
}

static void say_how_it_ended(struct server *server, const char *name, char *why, size_t why_len)
{
	char said[512], end[64];

	if (server->child.pid) {
		snprintf(why, why_len, "%s does not listen after %lld s", name,
			 READY_LIMIT_NS / 1000000000);
		return;
	}
	child_last_error(&server->child, said, sizeof(said));
	child_describe_end(&server->child, end, sizeof(end));
	snprintf(why, why_len, "%s: %s; %s", name, said, end);
}

static enum server_verdict start_bare(const struct peer *peer, struct server *server,
				      unsigned int workers, const char *cpus, json_t *command,
				      char *why, size_t why_len)
{
	/* This program by a name that holds no path: it ends up in the record. */
	char self[] = "/proc/self/exe", bare[] = "bare", option[] = "--workers", count[16];
	char *argv[] = { self, bare, option, count, (char *)peer->arguments[0], NULL };

	snprintf(count, sizeof(count), "%u", workers);
	for (size_t i = 0; argv[i]; i++)
		json_array_append_new(command, json_string(i ? argv[i] : "accept-bench"));
	return server_start(server, argv, cpus, why, why_len);
}

static const char *program_of(const struct peer *peer)
{
	const char *named = getenv(peer->variable);

	return named && *named ? named : peer->program;
}

/* "HAProxy version 2.6.12-1+deb12u2 ...", "nginx version: nginx/1.22.1" */
static double parse_version(const char *line)
{
	const char *at = strstr(line, "nginx/");

	at = at ? at + strlen("nginx/") : strstr(line, "version ");
	return at ? strtod(at + strcspn(at, "0123456789"), NULL) : 0;
}

/* What the program says of itself: 0, or -errno when it cannot be started. */
static int ask_version(const char *program, char *line, size_t size)
{
	char copy[512], option[] = "-v", *argv[] = { copy, option, NULL };
	struct child child;
	int ret;

	snprintf(copy, sizeof(copy), "%s", program);
	ret = child_start(&child, argv, NULL, CHILD_MERGED);
	if (ret < 0)
		return ret;
	if (child_read_line(&child, line, size, READY_LIMIT_NS) != 1)
		line[0] = '\0';
	child_kill(&child);
	return 0;
}

static enum server_verdict start_peer(const struct peer *peer, const char *name,
				      struct server *server, unsigned int workers, const char *cpus,
				      json_t *command, char *version, size_t version_len, char *why,
				      size_t why_len)
{
	char config[512], program[512], *argv[6] = { program, NULL };
	int ret;

	snprintf(program, sizeof(program), "%s", program_of(peer));
	ret = ask_version(program, version, version_len);
	if (ret < 0) {
		snprintf(why, why_len, "cannot start %s: %s", program, strerror(-ret));
		return ret == -ENOENT ? SERVER_UNSUPPORTED : SERVER_FAILED;
	}
	if (peer->own_tables && parse_version(version) < TABLES_SINCE) {
		snprintf(
			why, why_len,
			"fd tables of its own take haproxy %.1f, and this one is '%.100s'; HAPROXY=FILE "
			"names another one",
			TABLES_SINCE, version);
		return SERVER_UNSUPPORTED;
	}
	snprintf(server->folder, sizeof(server->folder), "/tmp/accept-bench.XXXXXX");
	if (!mkdtemp(server->folder) || !free_port(&server->address) ||
	    !write_config(peer, server, workers, parse_version(version))) {
		snprintf(why, why_len, "cannot prepare %s in %s: %s", name, server->folder,
			 strerror(errno));
		return SERVER_FAILED;
	}
	snprintf(config, sizeof(config), "%s/config", server->folder);
	json_array_append_new(command, json_string(peer->program));
	for (size_t i = 0; i < 4 && peer->arguments[i]; i++) {
		argv[i + 1] =
			strcmp(peer->arguments[i], "CONFIG") ? (char *)peer->arguments[i] : config;
		json_array_append_new(command, json_string(peer->arguments[i]));
	}
	ret = child_start(&server->child, argv, cpus, CHILD_APART);
	if (ret < 0) {
		snprintf(why, why_len, "cannot start %s: %s", program, strerror(-ret));
		return SERVER_FAILED;
	}
	if (wait_until_it_listens(server))
		return SERVER_READY;
	say_how_it_ended(server, name, why, why_len);
	child_kill(&server->child);
	return SERVER_FAILED;
}

enum server_verdict peer_start(struct server *server, const char *name, unsigned int workers,
			       const char *cpus, json_t *command, char *version, size_t version_len,
			       char *why, size_t why_len)
{
	const struct peer *peer = find(name);
	enum server_verdict verdict;

	version[0] = '\0';
	if (!peer->config)
		return start_bare(peer, server, workers, cpus, command, why, why_len);
	server->is_silent = true;
	snprintf(server->accept, sizeof(server->accept), "%s", name);
	verdict = start_peer(peer, name, server, workers, cpus, command, version, version_len, why,
			     why_len);
	if (verdict != SERVER_READY)
		server_remove_folder(server);
	return verdict;
}

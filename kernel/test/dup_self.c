/*
 * dup_self.c - tests the harness: a part that fails or is skipped does not affect later parts, and the
 * result of a test takes all its parts into account.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

static void passes(void)
{
	CHECK(true, "never printed");
}

static void fails(void)
{
	CHECK(false, "meant to fail");
}

static void skips(void)
{
	test_skip("meant to be skipped");
}

static void good_then_skipped(void)
{
	ALONE(NULL, passes);
	ALONE(NULL, skips);
	ALONE(NULL, passes);
}

static void bad_skipped_good(void)
{
	ALONE(NULL, fails);
	ALONE(NULL, skips);
	ALONE(NULL, passes);
}

/* Runs a test of PARTS in a process of its own: its exit code, and all that it printed. */
static int run(void (*parts)(void), char *out, size_t size)
{
	int pipe_fds[2], status;
	size_t used = 0;
	ssize_t n;
	pid_t child;

	MUST(pipe(pipe_fds));
	child = (pid_t)MUST(fork());
	if (child == 0) {
		MUST(dup2(pipe_fds[1], STDOUT_FILENO));
		/* a failure that is meant ends nothing */
		unsetenv("DUP_TEST_FIRST_FAILURE");
		test_start("inner");
		parts();
		exit(test_end());
	}
	close(pipe_fds[1]);
	while ((n = read(pipe_fds[0], out + used, size - 1 - used)) > 0)
		used += (size_t)n;
	out[used] = '\0';
	close(pipe_fds[0]);
	MUST(waitpid(child, &status, 0));
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int main(void)
{
	char out[4096];
	int code;

	test_start("dup_self");
	code = run(passes, out, sizeof(out));
	CHECK(code == EXIT_GOOD, "a good test ends with %d: %s", code, out);

	code = run(bad_skipped_good, out, sizeof(out));
	CHECK(code == EXIT_FAILED, "a test with a bad part ends with %d: %s", code, out);
	CHECK(strstr(out, "inner, fails: 1 checks, 1 failed"), "of the bad part: %s", out);
	CHECK(strstr(out, "inner, skips: skipped: meant"), "of the skipped part: %s", out);
	CHECK(strstr(out, "inner, passes: 1 checks, 0 failed"), "of the part after it: %s", out);
	CHECK(strstr(out, "inner: 2 checks, 1 failed"), "of the whole: %s", out);

	code = run(good_then_skipped, out, sizeof(out));
	CHECK(code == EXIT_SKIPPED, "a test with a skipped part ends with %d: %s", code, out);
	return test_end();
}

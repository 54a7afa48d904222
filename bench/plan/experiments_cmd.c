/* SPDX-License-Identifier: MIT */
/* accept-bench experiments: prints the experiments as a Markdown table, which is in bench/README.md. */
#include "plan/experiments.h"

int experiments_command(int argc, char **argv)
{
	const struct option_row rows[] = { { 0 } };
	int code = option_parse("experiments",
				"Prints what each experiment varies, and what it answers.", rows,
				argc, argv);

	if (code != OPTION_GO_ON)
		return code;
	printf("| experiment | what varies | what it answers |\n| --- | --- | --- |\n");
	for (size_t i = 0; i < n_experiments; i++)
		printf("| `%s` | %s | %s |\n", experiments[i].name, experiments[i].varies,
		       experiments[i].answers);
	return EXIT_GOOD;
}

/* SPDX-License-Identifier: MIT */
#ifndef BENCH_RUN_CMD_H
#define BENCH_RUN_CMD_H

int run_command(int argc, char **argv);

#endif

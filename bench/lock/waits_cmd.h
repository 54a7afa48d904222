/* SPDX-License-Identifier: MIT */
#ifndef BENCH_WAITS_CMD_H
#define BENCH_WAITS_CMD_H

int waits_command(int argc, char **argv);

#endif

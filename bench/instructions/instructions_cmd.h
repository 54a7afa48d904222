/* SPDX-License-Identifier: MIT */
/*
 * accept-bench instructions: the number of CPU instructions that a connection costs the server, for
 * each accept path.
 *
 * Needs a machine whose clock counts instructions: QEMU with -icount shift=0, where every
 * instruction takes one nanosecond and nothing else takes time. There the CPU time of the server's
 * process in nanoseconds is its number of instructions, in user mode and in the kernel, and is not
 * affected by other load on the host. The machine must have one CPU: with several, each stands still
 * while the instructions of another one are counted. A loop of known length checks first that the
 * clock does count instructions.
 *
 * The same number of connections is offered in two ways: one in flight, so that each finds the
 * server waiting; and many in flight, so that one pass of the server's loop handles several.
 * Instructions in user mode are counted in separate runs, by single-stepping (steps.h); the
 * difference is the kernel's share.
 *
 * The client is storm. Its instructions, including the work of delivering its packets to the
 * server's socket, are charged to its own process.
 */
#ifndef BENCH_INSTRUCTIONS_CMD_H
#define BENCH_INSTRUCTIONS_CMD_H

/*
 * Its records, one JSON object per line:
 *
 *	record "instructions", schema 1, time, environment, command
 *	compiler, kernel_compiler  compiler of this program and of the server, and compiler of the kernel
 *			(null: not known)
 *	note		text given by --note [absent]
 *	path, in_flight, repetition
 *	counted		"all": all instructions, by the clock of the server's process; "user": those in
 *			user mode, by single-stepping
 *	connections	number of connections that were counted
 *	per_connection	instructions per connection
 *	passes_per_connection  passes of the server's loop per connection
 *	ns_per_instruction     measured first with the loop of known length [absent: counted "user"]
 */
#define INSTRUCTIONS_KIND   "instructions"
#define INSTRUCTIONS_SCHEMA 1
#define INSTRUCTIONS_ALL    "all"
#define INSTRUCTIONS_USER   "user"

int instructions_command(int argc, char **argv);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * accept-bench instructions: how many instructions of the CPU a connection costs the server, by path.
 *
 * Needs a machine whose clock counts instructions: QEMU with -icount shift=0, where every instruction
 * takes one nanosecond and nothing else takes any. There the CPU time of the server's process is its
 * instructions, in user mode and in the kernel, and what else the host does changes nothing. With one
 * CPU: with several, one stands still while another one's instructions are counted. That the clock
 * does count them is measured first, by a loop of known length.
 *
 * Two ways of offering the same connections each time: one in flight, so that each finds a server that
 * waits; and many, so that they share its passes. What executes in user mode is counted in runs of
 * their own, by single steps (steps.h), and the rest is the kernel's.
 *
 * The client is storm: its own instructions, the packets that it sends up to the server's socket
 * included, are in its own process's time.
 */
#ifndef BENCH_INSTRUCTIONS_CMD_H
#define BENCH_INSTRUCTIONS_CMD_H

/*
 * A record of it, one JSON object a line:
 *
 *	record "instructions", schema 1, time, environment, command
 *	compiler, kernel_compiler  of this program and so of the server, and of the kernel (null: it does
 *			not say)
 *	note		what --note says [absent]
 *	path, in_flight, repetition
 *	counted		"all": by the clock of the server's process; "user": by single steps
 *	connections	that they are of
 *	per_connection	instructions
 *	passes_per_connection  of the server's loop
 *	ns_per_instruction     of the loop of known length, before all else [absent: counted "user"]
 */
#define INSTRUCTIONS_KIND   "instructions"
#define INSTRUCTIONS_SCHEMA 1
#define INSTRUCTIONS_ALL    "all"
#define INSTRUCTIONS_USER   "user"

int instructions_command(int argc, char **argv);

#endif

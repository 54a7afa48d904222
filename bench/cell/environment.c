/* SPDX-License-Identifier: MIT */
/* The description of the machine in records. See environment.h. */
#include "cell/environment.h"
#include "cell/preflight.h"
#include "revision.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>
#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

static const struct {
	const char *signature;
	const char *name;
} hypervisors[] = {
	{ "TCGTCGTCGTCG", "QEMU TCG (emulation, no hardware virtualisation)" },
	{ "KVMKVMKVM", "KVM" },
	{ "Microsoft Hv", "Hyper-V" },
	{ "VMwareVMware", "VMware" },
	{ "XenVMMXenVMM", "Xen" },
	{ "bhyve bhyve ", "bhyve" },
};

/* Its programs run on the host's CPU, which says what is below the host. */
static bool is_user_mode_linux(void)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[256];
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file))
		found = !strncmp(line, "vendor_id", 9) && strstr(line, "User Mode Linux");
	if (file)
		fclose(file);
	return found;
}

/* CPUID leaf 0x40000000 names the hypervisor; QEMU's TCG answers it even with the bit masked. */
void environment_virtualisation(char *text, size_t size)
{
#if defined(__x86_64__) || defined(__i386__)
	unsigned int a, b, c, d;
	char signature[13] = "";
	bool bit;

	if (is_user_mode_linux()) {
		snprintf(text, size, ENVIRONMENT_USER_MODE_LINUX);
		return;
	}
	__cpuid(1, a, b, c, d);
	bit = c >> 31;
	__cpuid(0x40000000, a, b, c, d);
	memcpy(signature, &b, 4);
	memcpy(signature + 4, &c, 4);
	memcpy(signature + 8, &d, 4);
	for (size_t i = 0; i < sizeof(hypervisors) / sizeof(hypervisors[0]); i++) {
		if (!strcmp(signature, hypervisors[i].signature)) {
			snprintf(text, size, "%s", hypervisors[i].name);
			return;
		}
	}
	if (!bit) {
		snprintf(text, size, "none");
		return;
	}
	for (char *p = signature; *p; p++)
		if (!isprint((unsigned char)*p))
			*p = '?';
	snprintf(text, size, "unknown hypervisor '%s'", signature);
#else
	snprintf(text, size, "not determined on this architecture");
#endif
}

static void first_line(struct procfile *files, const char *path, char *line, size_t size)
{
	char *text = procfile_read(files, path);

	snprintf(line, size, "%.*s", text ? (int)strcspn(text, "\n") : 0, text ? text : "");
	free(text);
}

/* "key : value" of the first processor, or "". */
static void cpu_field(struct procfile *files, const char *key, char *value, size_t size)
{
	char *text = procfile_read(files, "/proc/cpuinfo");
	char *at = text ? strstr(text, key) : NULL;
	char *colon = at ? strchr(at, ':') : NULL;

	value[0] = '\0';
	if (colon) {
		colon += 1 + strspn(colon + 1, " \t");
		snprintf(value, size, "%.*s", (int)strcspn(colon, "\n"), colon);
	}
	free(text);
}

static json_t *limit_json(int resource)
{
	struct rlimit limit;

	if (getrlimit((__rlimit_resource_t)resource, &limit) || limit.rlim_max == RLIM_INFINITY)
		return json_null();
	return json_integer((json_int_t)limit.rlim_max);
}

json_t *environment_json(struct procfile *files)
{
	char cpu[256], virtual[128], clock[64], somaxconn[32];
	struct utsname kernel;
	int64_t memory = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);

	uname(&kernel);
	environment_virtualisation(virtual, sizeof(virtual));
	cpu_field(files, "model name", cpu, sizeof(cpu));
	first_line(files, "/sys/devices/system/clocksource/clocksource0/current_clocksource", clock,
		   sizeof(clock));
	first_line(files, "/proc/sys/net/core/somaxconn", somaxconn, sizeof(somaxconn));
	return json_pack(
		"{s:s,s:s,s:s,s:b,s:s,s:I,s:s,s:I,s:s,s:i,s:o,s:o,s:s,s:s,s:o}", "kernel_release",
		kernel.release, "kernel_version", kernel.version, "machine", kernel.machine,
		"lock_stat", access("/proc/lock_stat", F_OK) == 0, "cpu", cpu, "cpus",
		(json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "virtualisation", virtual, "memory_mib",
		(json_int_t)(memory >> 20), "clock_source", clock, "somaxconn", atoi(somaxconn),
		"nofile_hard_limit", limit_json(RLIMIT_NOFILE), "memlock_hard_limit_bytes",
		limit_json(RLIMIT_MEMLOCK), "version", PROJECT_VERSION, "revision", REVISION,
		"preflight", preflight_json());
}

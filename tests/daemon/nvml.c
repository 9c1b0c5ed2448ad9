/* A library with the ABI of NVIDIA's libnvidia-ml.so.1 that plays the GPUs of a script file.
 *
 * Tests build it and put its folder into LD_LIBRARY_PATH, so that the unmodified nvidia-ml-py loads
 * it. The environment variable NVML_SCRIPT names the script when the library is initialised. The
 * script is read again whenever it changes; sequences of values begin anew then.
 *
 *     driver 580.95.05        the driver's version; "driver none": no driver is loaded
 *     generation 1            a new number: the driver was restarted, who is initialised must begin anew
 *     gpu 0 uuid GPU-1        a text: uuid, name
 *     gpu 0 power 300000      a number in NVML's unit; "gpu *" is all GPUs so far
 *     gpu 0 util 10 20 30     the first call gives 10, the second 20, then 30, then 10 again
 *     gpu 0 temp !999         the call fails with this code; a key that is missing: not supported
 *     gpu 0 hang 1            every call for the GPU waits until the script says otherwise
 *     gpu 0 lost 1            every call for the GPU fails with "GPU is lost"
 *     gpu 0 process 4711 1048576 [instance]    a process with its bytes
 *     gpu 0 mig 7 0 MIG-1 1024 256     an instance: GPU instance, compute instance, uuid, total, used
 *     xid 1 0 79              event number 1: GPU 0 has XID 79. Each number is given once.
 *
 * Written from the public documentation of the interface; layouts as nvidia-ml-py declares them.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7, DRIVER_NOT_LOADED = 9, TIMEOUT = 10, GPU_IS_LOST = 15
};
enum { GPUS = 16, KEYS = 64, VALUES = 16, PROCESSES = 32, MIGS = 7, XIDS = 64, TEXT = 96 };

typedef unsigned long long u64;
typedef struct { int gpu, mig; } Handle;
typedef struct { char name[32]; u64 values[VALUES]; int failing[VALUES]; int count; } Key;
typedef struct { unsigned pid; u64 bytes; unsigned instance; } Process;
typedef struct { unsigned gi, ci; char uuid[TEXT]; u64 total, used; } Mig;
typedef struct {
    char uuid[TEXT], name[TEXT];
    Key keys[KEYS];
    int key_count, hang, lost;
    Process processes[PROCESSES];
    int process_count;
    Mig migs[MIGS];
    int mig_count;
} Gpu;
typedef struct { u64 number; int gpu; u64 code; } Xid;
typedef struct {
    char driver[TEXT];
    int generation, gpu_count, xid_count;
    Gpu gpus[GPUS];
    Xid xids[XIDS];
} Script;
typedef struct { u64 mask, seen; } EventSet;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Script script;
static char script_path[4096];
static struct timespec read_at;
static ino_t read_inode;
static int initialized, generation;
static u64 calls[GPUS][KEYS];
static Handle gpu_handles[GPUS], mig_handles[GPUS][MIGS];

/* ------------------------------------------------------------------ the script */

static void read_number(Key *key, const char *word) {
    if (key->count == VALUES) return;
    key->failing[key->count] = word[0] == '!' ? atoi(word + 1) : 0;
    key->values[key->count++] = word[0] == '!' ? 0 : strtoull(word, NULL, 10);
}

static Key *key_of(Gpu *gpu, const char *name) {
    for (int i = 0; i < gpu->key_count; i++)
        if (!strcmp(gpu->keys[i].name, name)) return &gpu->keys[i];
    return NULL;
}

static void read_gpu(Gpu *gpu, char *key, char *rest) {
    char *save = NULL, *words[8] = {0};
    if (!strcmp(key, "name")) {  /* The only value with spaces. */
        snprintf(gpu->name, TEXT, "%s", rest);
        return;
    }
    char copy[512];
    snprintf(copy, sizeof copy, "%s", rest);
    int count = 0;
    for (char *word = strtok_r(copy, " ", &save); word && count < 8; word = strtok_r(NULL, " ", &save))
        words[count++] = word;
    if (!count) return;
    if (!strcmp(key, "uuid")) snprintf(gpu->uuid, TEXT, "%s", words[0]);
    else if (!strcmp(key, "hang")) gpu->hang = atoi(words[0]);
    else if (!strcmp(key, "lost")) gpu->lost = atoi(words[0]);
    else if (!strcmp(key, "process") && count >= 2 && gpu->process_count < PROCESSES) {
        Process *made = &gpu->processes[gpu->process_count++];
        made->pid = (unsigned)strtoul(words[0], NULL, 10);
        made->bytes = strtoull(words[1], NULL, 10);
        made->instance = count > 2 ? (unsigned)strtoul(words[2], NULL, 10) : 0xFFFFFFFFu;
    } else if (!strcmp(key, "mig") && count == 5 && gpu->mig_count < MIGS) {
        Mig *made = &gpu->migs[gpu->mig_count++];
        made->gi = (unsigned)strtoul(words[0], NULL, 10);
        made->ci = (unsigned)strtoul(words[1], NULL, 10);
        snprintf(made->uuid, TEXT, "%s", words[2]);
        made->total = strtoull(words[3], NULL, 10);
        made->used = strtoull(words[4], NULL, 10);
    } else {
        Key *made = key_of(gpu, key);
        if (!made) {
            if (gpu->key_count == KEYS) return;
            made = &gpu->keys[gpu->key_count++];
            snprintf(made->name, sizeof made->name, "%s", key);
        }
        made->count = 0;
        for (int i = 0; i < count; i++) read_number(made, words[i]);
    }
}

static void read_line(Script *into, char *line) {
    char *save = NULL, *word = strtok_r(line, " \n", &save);
    if (!word || word[0] == '#') return;
    if (!strcmp(word, "driver")) {
        char *version = strtok_r(NULL, " \n", &save);
        snprintf(into->driver, TEXT, "%s", version ? version : "none");
    } else if (!strcmp(word, "generation")) {
        into->generation = atoi(strtok_r(NULL, " \n", &save));
    } else if (!strcmp(word, "xid")) {
        char *number = strtok_r(NULL, " \n", &save), *gpu = strtok_r(NULL, " \n", &save);
        char *code = strtok_r(NULL, " \n", &save);
        if (code && into->xid_count < XIDS)
            into->xids[into->xid_count++] =
                (Xid){strtoull(number, NULL, 10), atoi(gpu), strtoull(code, NULL, 10)};
    } else if (!strcmp(word, "gpu")) {
        char *which = strtok_r(NULL, " \n", &save), *key = strtok_r(NULL, " \n", &save);
        char *rest = strtok_r(NULL, "\n", &save);
        if (!key || !rest) return;
        if (!strcmp(which, "*")) {
            for (int i = 0; i < into->gpu_count; i++) read_gpu(&into->gpus[i], key, rest);
            return;
        }
        int number = atoi(which);
        if (number < 0 || number >= GPUS) return;
        if (number >= into->gpu_count) into->gpu_count = number + 1;
        read_gpu(&into->gpus[number], key, rest);
    }
}

/* Note the script's name. The lock is held.
 *
 * Done at the initialisation only: getenv reads freed memory where another thread sets a variable at
 * that moment, as pytest does before and after each test, while a call that hangs looks at the script. */
static void note_path(void) {
    const char *path = getenv("NVML_SCRIPT");
    if (path) snprintf(script_path, sizeof script_path, "%s", path);
}

/* Read the script where it has changed. The lock is held. */
static void refresh(void) {
    struct stat found;
    if (!script_path[0] || stat(script_path, &found)) return;
    if (found.st_ino == read_inode && found.st_mtim.tv_sec == read_at.tv_sec &&
        found.st_mtim.tv_nsec == read_at.tv_nsec)
        return;
    FILE *file = fopen(script_path, "r");
    if (!file) return;
    static Script fresh;
    memset(&fresh, 0, sizeof fresh);
    snprintf(fresh.driver, TEXT, "none");
    char line[512];
    while (fgets(line, sizeof line, file)) read_line(&fresh, line);
    fclose(file);
    script = fresh;
    memset(calls, 0, sizeof calls);
    read_inode = found.st_ino;
    read_at = found.st_mtim;
    for (int i = 0; i < GPUS; i++) {
        gpu_handles[i] = (Handle){i, -1};
        for (int m = 0; m < MIGS; m++) mig_handles[i][m] = (Handle){i, m};
    }
}

static void pause_briefly(void) {
    struct timespec some = {0, 10 * 1000 * 1000};
    nanosleep(&some, NULL);
}

/* ------------------------------------------------------------------ how calls begin */

static int usable(void) {
    refresh();
    if (!initialized) return UNINITIALIZED;
    if (!strcmp(script.driver, "none")) return DRIVER_NOT_LOADED;
    return generation == script.generation ? SUCCESS : UNINITIALIZED;
}

/* Take the lock for a call about a device. Waits while the script says that it hangs. */
static int enter(Handle *handle) {
    pthread_mutex_lock(&lock);
    for (;;) {
        int code = usable();
        if (code) return code;
        if (!handle || handle->gpu >= script.gpu_count) return INVALID_ARGUMENT;
        if (!script.gpus[handle->gpu].hang) break;
        pthread_mutex_unlock(&lock);
        pause_briefly();
        pthread_mutex_lock(&lock);
    }
    return script.gpus[handle->gpu].lost ? GPU_IS_LOST : SUCCESS;
}

static int leave(int code) {
    pthread_mutex_unlock(&lock);
    return code;
}

/* Get the next value of a key. The lock is held. */
static int next(int gpu, const char *name, u64 *value) {
    Key *key = key_of(&script.gpus[gpu], name);
    if (!key || !key->count) return NOT_SUPPORTED;
    int at = (int)(calls[gpu][key - script.gpus[gpu].keys]++ % (u64)key->count);
    *value = key->values[at];
    return key->failing[at];
}

static int number(Handle *handle, const char *name, u64 *value) {
    int code = enter(handle);
    if (!code) code = handle->mig >= 0 ? NOT_SUPPORTED : next(handle->gpu, name, value);
    return leave(code);
}

static int small(Handle *handle, const char *name, unsigned *value) {
    u64 wide = 0;
    int code = number(handle, name, &wide);
    if (!code) *value = (unsigned)wide;
    return code;
}

/* ------------------------------------------------------------------ library and devices */

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    pthread_mutex_lock(&lock);
    note_path();
    refresh();
    if (!strcmp(script.driver, "none") || !script.driver[0]) return leave(DRIVER_NOT_LOADED);
    initialized++;
    generation = script.generation;
    return leave(SUCCESS);
}

int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

int nvmlShutdown(void) {
    pthread_mutex_lock(&lock);
    if (!initialized) return leave(UNINITIALIZED);
    initialized--;
    return leave(SUCCESS);
}

const char *nvmlErrorString(int code) {
    return code == GPU_IS_LOST ? "GPU is lost" : "an error of the played library";
}

static int text(char *into, unsigned length, const char *from) {
    if (strlen(from) + 1 > length) return INSUFFICIENT_SIZE;
    strcpy(into, from);
    return SUCCESS;
}

int nvmlSystemGetDriverVersion(char *version, unsigned length) {
    pthread_mutex_lock(&lock);
    int code = usable();
    return leave(code ? code : text(version, length, script.driver));
}

int nvmlDeviceGetCount_v2(unsigned *count) {
    pthread_mutex_lock(&lock);
    int code = usable();
    if (!code) *count = (unsigned)script.gpu_count;
    return leave(code);
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, Handle **handle) {
    pthread_mutex_lock(&lock);
    int code = usable();
    if (!code && index >= (unsigned)script.gpu_count) code = INVALID_ARGUMENT;
    if (!code && script.gpus[index].lost) code = GPU_IS_LOST;
    if (!code) *handle = &gpu_handles[index];
    return leave(code);
}

int nvmlDeviceGetUUID(Handle *handle, char *uuid, unsigned length) {
    int code = enter(handle);
    if (code) return leave(code);
    Gpu *gpu = &script.gpus[handle->gpu];
    return leave(text(uuid, length, handle->mig < 0 ? gpu->uuid : gpu->migs[handle->mig].uuid));
}

int nvmlDeviceGetName(Handle *handle, char *name, unsigned length) {
    int code = enter(handle);
    return leave(code ? code : text(name, length, script.gpus[handle->gpu].name));
}

typedef struct {
    char legacy[16];
    unsigned domain, bus, device, id, subsystem;
    char bus_id[32];
} Pci;

int nvmlDeviceGetPciInfo_v3(Handle *handle, Pci *pci) {
    int code = enter(handle);
    if (!code) {
        memset(pci, 0, sizeof *pci);
        pci->bus = (unsigned)handle->gpu + 1;
        snprintf(pci->bus_id, sizeof pci->bus_id, "00000000:%02X:00.0", handle->gpu + 1);
    }
    return leave(code);
}

/* ------------------------------------------------------------------ values */

typedef struct { unsigned gpu, memory; } Utilization;

int nvmlDeviceGetUtilizationRates(Handle *handle, Utilization *found) {
    int code = small(handle, "util", &found->gpu);
    return code ? code : small(handle, "memory_util", &found->memory);
}

typedef struct { u64 total, free, used; } Memory;
typedef struct { unsigned version; u64 total, reserved, free, used; } Memory2;

static int memory(Handle *handle, u64 *total, u64 *used) {
    int code = enter(handle);
    if (code) return leave(code);
    if (handle->mig >= 0) {
        Mig *mig = &script.gpus[handle->gpu].migs[handle->mig];
        *total = mig->total, *used = mig->used;
        return leave(SUCCESS);
    }
    code = next(handle->gpu, "memory_total", total);
    return leave(code ? code : next(handle->gpu, "memory_used", used));
}

int nvmlDeviceGetMemoryInfo(Handle *handle, Memory *found) {
    int code = memory(handle, &found->total, &found->used);
    if (!code) found->free = found->total - found->used;
    return code;
}

int nvmlDeviceGetMemoryInfo_v2(Handle *handle, Memory2 *found) {
    if (found->version != (sizeof *found | 2u << 24)) return INVALID_ARGUMENT;
    int code = memory(handle, &found->total, &found->used);
    if (!code) found->free = found->total - found->used, found->reserved = 0;
    return code;
}

int nvmlDeviceGetPowerUsage(Handle *h, unsigned *milliwatts) { return small(h, "power", milliwatts); }
int nvmlDeviceGetEnforcedPowerLimit(Handle *h, unsigned *limit) { return small(h, "power_limit", limit); }
int nvmlDeviceGetFanSpeed(Handle *h, unsigned *percent) { return small(h, "fan", percent); }

int nvmlDeviceGetTemperature(Handle *handle, int sensor, unsigned *celsius) {
    return sensor ? INVALID_ARGUMENT : small(handle, "temp", celsius);
}

int nvmlDeviceGetClockInfo(Handle *handle, int which, unsigned *megahertz) {
    static const char *names[] = {"graphics_clock", "sm_clock", "memory_clock", "video_clock"};
    return which < 0 || which > 3 ? INVALID_ARGUMENT : small(handle, names[which], megahertz);
}

int nvmlDeviceGetCurrentClocksEventReasons(Handle *h, u64 *mask) { return number(h, "throttle", mask); }
int nvmlDeviceGetCurrentClocksThrottleReasons(Handle *h, u64 *mask) { return number(h, "throttle", mask); }

int nvmlDeviceGetPcieThroughput(Handle *handle, int counter, unsigned *kib) {
    return small(handle, counter ? "pcie_rx" : "pcie_tx", kib);
}

typedef struct {
    unsigned field, scope;
    long long timestamp, latency;
    int type, code;
    union { double d; unsigned u; unsigned long ul; u64 ull; } value;
} FieldValue;

_Static_assert(sizeof(FieldValue) == 40, "as nvml.h lays it out");

int nvmlDeviceGetFieldValues(Handle *handle, int count, FieldValue *values) {
    int code = enter(handle);
    for (int i = 0; !code && i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "field_%u", values[i].field);
        values[i].type = 3;
        values[i].code = handle->mig < 0 ? next(handle->gpu, name, &values[i].value.ull) : NOT_SUPPORTED;
    }
    return leave(code);
}

/* ------------------------------------------------------------------ processes */

typedef struct { unsigned pid; u64 bytes; unsigned instance, compute_instance; } ProcessInfo;

int nvmlDeviceGetComputeRunningProcesses_v3(Handle *handle, unsigned *count, ProcessInfo *into) {
    int code = enter(handle);
    if (code) return leave(code);
    Gpu *gpu = &script.gpus[handle->gpu];
    unsigned room = *count;
    *count = (unsigned)gpu->process_count;
    if (!gpu->process_count) return leave(SUCCESS);
    if (room < (unsigned)gpu->process_count || !into) return leave(INSUFFICIENT_SIZE);
    for (int i = 0; i < gpu->process_count; i++)
        into[i] = (ProcessInfo){gpu->processes[i].pid, gpu->processes[i].bytes,
                                gpu->processes[i].instance, 0};
    return leave(SUCCESS);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(Handle *handle, unsigned *count, ProcessInfo *into) {
    (void)into;
    int code = enter(handle);
    if (!code) *count = 0;
    return leave(code);
}

/* ------------------------------------------------------------------ MIG */

int nvmlDeviceGetMigMode(Handle *handle, unsigned *current, unsigned *pending) {
    int code = enter(handle);
    if (!code) *current = *pending = script.gpus[handle->gpu].mig_count > 0;
    return leave(code);
}

int nvmlDeviceGetMaxMigDeviceCount(Handle *handle, unsigned *count) {
    int code = enter(handle);
    if (!code) *count = script.gpus[handle->gpu].mig_count ? MIGS : 0;
    return leave(code);
}

int nvmlDeviceGetMigDeviceHandleByIndex(Handle *handle, unsigned index, Handle **found) {
    int code = enter(handle);
    if (!code && index >= (unsigned)script.gpus[handle->gpu].mig_count) code = NOT_FOUND;
    if (!code) *found = &mig_handles[handle->gpu][index];
    return leave(code);
}

int nvmlDeviceGetGpuInstanceId(Handle *handle, unsigned *id) {
    int code = enter(handle);
    if (!code && handle->mig < 0) code = NOT_SUPPORTED;
    if (!code) *id = script.gpus[handle->gpu].migs[handle->mig].gi;
    return leave(code);
}

int nvmlDeviceGetComputeInstanceId(Handle *handle, unsigned *id) {
    int code = enter(handle);
    if (!code && handle->mig < 0) code = NOT_SUPPORTED;
    if (!code) *id = script.gpus[handle->gpu].migs[handle->mig].ci;
    return leave(code);
}

/* ------------------------------------------------------------------ events */

typedef struct { Handle *device; u64 type, data; unsigned instance, compute_instance; } EventData;

int nvmlEventSetCreate(EventSet **set) {
    pthread_mutex_lock(&lock);
    int code = usable();
    if (code) return leave(code);
    *set = calloc(1, sizeof **set);
    for (int i = 0; i < script.xid_count; i++)  /* What happened before is not told. */
        if (script.xids[i].number > (*set)->seen) (*set)->seen = script.xids[i].number;
    return leave(SUCCESS);
}

int nvmlEventSetFree(EventSet *set) {
    free(set);
    return SUCCESS;
}

int nvmlDeviceGetSupportedEventTypes(Handle *handle, u64 *types) {
    int code = enter(handle);
    if (!code) *types = 0x8;
    return leave(code);
}

int nvmlDeviceRegisterEvents(Handle *handle, u64 types, EventSet *set) {
    int code = enter(handle);
    if (!code && types != 0x8) code = NOT_SUPPORTED;
    if (!code) set->mask |= 1ull << handle->gpu;
    return leave(code);
}

int nvmlEventSetWait_v2(EventSet *set, EventData *data, unsigned milliseconds) {
    for (unsigned waited = 0;; waited += 10) {
        pthread_mutex_lock(&lock);
        int code = usable();
        for (int i = 0; !code && i < script.xid_count; i++) {
            Xid *xid = &script.xids[i];
            if (xid->number <= set->seen || !(set->mask >> xid->gpu & 1)) continue;
            set->seen = xid->number;
            *data = (EventData){&gpu_handles[xid->gpu], 0x8, xid->code, ~0u, ~0u};
            return leave(SUCCESS);
        }
        leave(code);
        if (code) return code;
        if (waited >= milliseconds) return TIMEOUT;
        pause_briefly();
    }
}

/* ------------------------------------------------------------------ ECC */

int nvmlDeviceGetTotalEccErrors(Handle *handle, int kind, int counter, u64 *count) {
    (void)counter;
    return number(handle, kind ? "ecc_uncorrected" : "ecc_corrected", count);
}

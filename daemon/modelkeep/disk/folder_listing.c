/* List the model files of a folder with what the kernel tells of each: readdir(3) and statx(2) without an
   interpreter between them. What cannot be decided here is left to whoever calls: UNDECIDED.

   Plain C behind ctypes, no state but the DIR of the caller, any thread. */

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { FINISHED = 0, MORE = 1, FAILED = -1, UNDECIDED = -2 };

enum { ENTRIES_MAX = 1024 };  /* in one call: the caller says in between that it goes on */

/* Layout known to folder_listing.py. */
struct file { uint64_t device, inode, size; int64_t mtime_ns, ctime_ns, birth_ns; };

struct listed {
    uint64_t files_room, files_count;
    struct file *files;
    uint64_t names_room, names_used;
    char *names;            /* of files, each ended by NUL */
    uint64_t folders_room, folders_used;
    char *folders;          /* names likewise */
};

#define NO_BIRTH INT64_MIN

/* Not strcasecmp: that follows the locale, in some of which `I` is no upper case of `i`. */
static int is_same(const char *text, const char *lower)
{
    for (; *lower; text++, lower++)
        if ((*text >= 'A' && *text <= 'Z' ? *text + ('a' - 'A') : *text) != *lower)
            return 0;
    return 1;
}

static int ends_with_any(const char *name, size_t length, const char *suffixes)
{
    for (; *suffixes; suffixes += strlen(suffixes) + 1) {
        size_t tail = strlen(suffixes);
        if (tail <= length && is_same(name + length - tail, suffixes))
            return 1;
    }
    return 0;
}

static int nanoseconds(struct statx_timestamp time, int64_t *told)
{
    return !__builtin_mul_overflow(time.tv_sec, INT64_C(1000000000), told)
        && !__builtin_add_overflow(*told, (int64_t)time.tv_nsec, told) && *told != NO_BIRTH;
}

/* Returns 1: taken, 0: no regular file, UNDECIDED. */
static int look(int folder, const char *name, struct file *file)
{
    struct statx told;
    if (statx(folder, name, 0, STATX_BASIC_STATS | STATX_BTIME, &told) != 0)
        return errno == ENOENT ? 0 : UNDECIDED;
    if ((told.stx_mask & STATX_BASIC_STATS) != STATX_BASIC_STATS)
        return UNDECIDED;
    if (!S_ISREG(told.stx_mode))
        return 0;
    file->device = makedev(told.stx_dev_major, told.stx_dev_minor);
    file->inode = told.stx_ino;
    file->size = told.stx_size;
    file->birth_ns = NO_BIRTH;
    if (!nanoseconds(told.stx_mtime, &file->mtime_ns) || !nanoseconds(told.stx_ctime, &file->ctime_ns))
        return UNDECIDED;
    if ((told.stx_mask & STATX_BTIME) && !nanoseconds(told.stx_btime, &file->birth_ns))
        return UNDECIDED;
    return 1;
}

static void append(char *names, uint64_t *used, const char *name, size_t length)
{
    memcpy(names + *used, name, length + 1);
    *used += length + 1;
}

static int take(int folder, const struct dirent *entry, const char *wanted, const char *unwanted, struct listed *to)
{
    const char *name = entry->d_name;
    size_t length = strlen(name);
    if (name[0] == '.')
        return 0;
    if (entry->d_type == DT_DIR) {
        append(to->folders, &to->folders_used, name, length);
        return 0;
    }
    if (entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN)
        return UNDECIDED;
    /* The one letter beyond ASCII whose lower case is in ASCII (KELVIN SIGN). */
    if (strstr(name, "\xe2\x84\xaa"))
        return UNDECIDED;
    if (entry->d_type != DT_REG || !ends_with_any(name, length, wanted) || ends_with_any(name, length, unwanted))
        return 0;
    int taken = look(folder, name, &to->files[to->files_count]);
    if (taken == 1) {
        append(to->names, &to->names_used, name, length);
        to->files_count++;
    }
    return taken == UNDECIDED ? UNDECIDED : 0;
}

/* Open a folder; NULL and errno when it cannot be. */
void *folder_open(const char *path)
{
    return opendir(path);
}

void folder_close(void *folder)
{
    closedir(folder);
}

/* Add what comes next in a folder to what is listed; returns how it stands, FAILED with errno. */
int folder_next(void *folder, const char *wanted, const char *unwanted, struct listed *to)
{
    for (int entries = 0; entries < ENTRIES_MAX; entries++) {
        if (to->files_count == to->files_room || to->names_room - to->names_used <= NAME_MAX
            || to->folders_room - to->folders_used <= NAME_MAX)
            return MORE;
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (entry == NULL)
            return errno ? FAILED : FINISHED;
        if (strlen(entry->d_name) > NAME_MAX || take(dirfd(folder), entry, wanted, unwanted, to) == UNDECIDED)
            return UNDECIDED;
    }
    return MORE;
}

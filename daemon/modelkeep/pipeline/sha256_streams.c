/* SHA-256 by the processor's own instructions (SHA-NI), of one stream of bytes or of up to four at the same time.
 *
 * The result of sha256rnds2 can be used after four cycles, and the unit that computes it can begin another after two: a
 * single stream waits for itself all the time, two in one thread could fill the gaps of each other. But then every delay
 * of one, by whatever else the unit's neighbours do, is lost for good; of three or four there is always one that can go
 * on. For the same reason what goes into the rounds of a block, the sums of its message schedule and the constants, is
 * computed while those of the block before it are at work, and waits in memory.
 *
 * FIPS 180-4 has the algorithm, Intel's "Intel SHA Extensions" (2013) the instructions. Nothing here allocates memory,
 * keeps anything between calls, or reads beyond the lengths that it is given. `sha256.py` is what calls it.
 *
 * Bytes may be of a mapped file. When that is cut off meanwhile, or its disk fails, the kernel answers with SIGBUS: the
 * call says so, and has taken nothing.
 */

#define _POSIX_C_SOURCE 200809L

#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cpuid.h>
#include <immintrin.h>

#define SHA_NI __attribute__((target("sha,sse4.1,ssse3")))
#define INLINE static inline __attribute__((always_inline))
#define BLOCK_BYTES 64
#define LENGTH_BYTES 8
#define STREAMS_MAX 4
#define STEPS 16

/* So far ahead the bytes of a stream are called for: the processor does not do so by itself beyond a page. */
#define AHEAD_BYTES 512

static const uint32_t ROUND_CONSTANTS[64] __attribute__((aligned(16))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

/* The eight words of a state as the instructions want them: ABEF and CDGH. */
typedef struct {
    __m128i abef, cdgh;
} lane;

/* Sixteen words of the message schedule, of which each round of four replaces the oldest four. */
typedef struct {
    __m128i words[4];
} schedule;

INLINE SHA_NI lane load_state(const uint32_t state[8])
{
    __m128i dcba = _mm_loadu_si128((const __m128i *)state);
    __m128i hgfe = _mm_loadu_si128((const __m128i *)(state + 4));
    __m128i cdab = _mm_shuffle_epi32(dcba, 0xB1);
    __m128i efgh = _mm_shuffle_epi32(hgfe, 0x1B);
    lane loaded = {_mm_alignr_epi8(cdab, efgh, 8), _mm_blend_epi16(efgh, cdab, 0xF0)};
    return loaded;
}

INLINE SHA_NI void store_state(uint32_t state[8], lane held)
{
    __m128i feba = _mm_shuffle_epi32(held.abef, 0x1B);
    __m128i dchg = _mm_shuffle_epi32(held.cdgh, 0xB1);
    _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(feba, dchg, 0xF0));
    _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

INLINE SHA_NI schedule load_block(const uint8_t *block)
{
    const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    schedule loaded;
    for (int quarter = 0; quarter < 4; quarter++) {
        __m128i words = _mm_loadu_si128((const __m128i *)(block + 16 * quarter));
        loaded.words[quarter] = _mm_shuffle_epi8(words, big_endian);
    }
    return loaded;
}

/* Replace the four words that were just used by those which are used sixteen rounds later. */
INLINE SHA_NI void extend(schedule *block, int step)
{
    __m128i *words = block->words;
    __m128i newest = words[(step + 3) % 4];
    __m128i sum = _mm_sha256msg1_epu32(words[step % 4], words[(step + 1) % 4]);
    sum = _mm_add_epi32(sum, _mm_alignr_epi8(newest, words[(step + 2) % 4], 4));
    words[step % 4] = _mm_sha256msg2_epu32(sum, newest);
}

INLINE SHA_NI lane add(lane one, lane other)
{
    lane sum = {_mm_add_epi32(one.abef, other.abef), _mm_add_epi32(one.cdgh, other.cdgh)};
    return sum;
}

/* Call for bytes that are taken soon; whether they are there at all does not matter. */
INLINE void call_for(const uint8_t *data)
{
    __builtin_prefetch(data + AHEAD_BYTES);
}

/* The rounds of a block are written out: what is indexed by a constant stays in registers. */
#define SIXTEEN(STEP)                                                                                                  \
    STEP(0) STEP(1) STEP(2) STEP(3) STEP(4) STEP(5) STEP(6) STEP(7)                                                    \
    STEP(8) STEP(9) STEP(10) STEP(11) STEP(12) STEP(13) STEP(14) STEP(15)

/* The words of a schedule and their constants, added: four for each step of four rounds. */
typedef __m128i sums[STEPS];

/* The upper two words of a sum; from memory they cost the units for rounds nothing. */
INLINE SHA_NI __m128i upper_half(const __m128i *sum)
{
    return _mm_loadl_epi64((const __m128i *)((const uint8_t *)sum + 8));
}

/* Note the sum of a step, and extend the schedule. */
INLINE SHA_NI void prepare(sums to, schedule *block, int step)
{
    to[step] = _mm_add_epi32(block->words[step % 4], _mm_load_si128((const __m128i *)(ROUND_CONSTANTS + 4 * step)));
    if (step < STEPS - 4)
        extend(block, step);
}

/* Take equally many whole blocks, at least one, of each of some streams. */
INLINE SHA_NI void blocks_of_each(int count, uint32_t *const states[], const uint8_t *const data[], size_t blocks)
{
    lane held[STREAMS_MAX], before[STREAMS_MAX];
    schedule following[STREAMS_MAX];
    sums both[2][STREAMS_MAX];
    for (int of = 0; of < count; of++) {
        held[of] = load_state(states[of]);
        schedule first = load_block(data[of]);
#define STEP(step) prepare(both[0][of], &first, step);
        SIXTEEN(STEP)
#undef STEP
    }
    for (size_t block = 0; block < blocks; block++) {
        sums *now = both[block % 2], *then = both[(block + 1) % 2];
        size_t next = block + 1 < blocks ? block + 1 : block; /* after the last one there is nothing that may be read */
        for (int of = 0; of < count; of++) {
            before[of] = held[of];
            following[of] = load_block(data[of] + next * BLOCK_BYTES);
            call_for(data[of] + next * BLOCK_BYTES);
        }
#define STEP(step)                                                                                                     \
    for (int of = 0; of < count; of++)                                                                                 \
        held[of].cdgh = _mm_sha256rnds2_epu32(held[of].cdgh, held[of].abef, now[of][step]);                            \
    for (int of = 0; of < count; of++)                                                                                 \
        held[of].abef = _mm_sha256rnds2_epu32(held[of].abef, held[of].cdgh, upper_half(&now[of][step]));               \
    for (int of = 0; of < count; of++)                                                                                 \
        prepare(then[of], &following[of], step);
        SIXTEEN(STEP)
#undef STEP
        for (int of = 0; of < count; of++)
            held[of] = add(held[of], before[of]);
    }
    for (int of = 0; of < count; of++)
        store_state(states[of], held[of]);
}

/* What is indexed by a constant stays in registers: so each count has its own. */
#define BLOCKS_OF(count)                                                                                               \
    SHA_NI static void blocks_of_##count(uint32_t *const states[], const uint8_t *const data[], size_t blocks)         \
    {                                                                                                                  \
        blocks_of_each(count, states, data, blocks);                                                                   \
    }
BLOCKS_OF(1) BLOCKS_OF(2) BLOCKS_OF(3) BLOCKS_OF(4)
#undef BLOCKS_OF

static void (*const BLOCKS_OF_COUNT[])(uint32_t *const[], const uint8_t *const[], size_t) = {
    NULL, blocks_of_1, blocks_of_2, blocks_of_3, blocks_of_4};

/* A stream of which some bytes have been taken; `sha256.py` sets its first state. */
typedef struct {
    uint32_t state[8];
    uint64_t length;
    uint8_t partial[BLOCK_BYTES];
} stream;

/* A stream, and the bytes that it takes next. */
typedef struct {
    stream *to;
    const uint8_t *data;
    size_t length;
} piece;

static size_t partial_length(const stream *of)
{
    return of->length % BLOCK_BYTES;
}

static void skip(piece *of, size_t bytes)
{
    of->to->length += bytes;
    of->data += bytes;
    of->length -= bytes;
}

static void take_block(uint32_t state[8], const uint8_t block[BLOCK_BYTES])
{
    blocks_of_1(&state, &block, 1);
}

/* Take bytes into the block that is not full yet. */
static void fill_partial(piece *of)
{
    stream *to = of->to;
    size_t held = partial_length(to);
    size_t taken = BLOCK_BYTES - held < of->length ? BLOCK_BYTES - held : of->length;
    if (taken == 0)
        return;
    memcpy(to->partial + held, of->data, taken);
    skip(of, taken);
    if (partial_length(to) == 0)
        take_block(to->state, to->partial);
}

/* Take as many whole blocks as all have that have any; returns whether there were some. */
static int take_blocks(piece pieces[], int count)
{
    piece *taking[STREAMS_MAX];
    uint32_t *states[STREAMS_MAX];
    const uint8_t *data[STREAMS_MAX];
    size_t blocks = SIZE_MAX;
    int found = 0;
    for (int number = 0; number < count; number++) {
        size_t whole = pieces[number].length / BLOCK_BYTES;
        if (whole == 0)
            continue;
        taking[found] = &pieces[number];
        states[found] = pieces[number].to->state;
        data[found++] = pieces[number].data;
        blocks = whole < blocks ? whole : blocks;
    }
    if (found == 0)
        return 0;
    BLOCKS_OF_COUNT[found](states, data, blocks);
    for (int number = 0; number < found; number++)
        skip(taking[number], blocks * BLOCK_BYTES);
    return 1;
}

static void take(piece pieces[], int count)
{
    for (int number = 0; number < count; number++) /* complete the blocks that are begun */
        if (partial_length(pieces[number].to) > 0)
            fill_partial(&pieces[number]);
    while (take_blocks(pieces, count))
        ;
    for (int number = 0; number < count; number++)
        fill_partial(&pieces[number]);
}

/* Tell how many streams are taken at once at the most; none if this processor lacks the instructions. */
int sha256_streams(void)
{
    unsigned int eax, ebx, ecx, edx;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & (1u << 9)) || !(ecx & (1u << 19))) /* SSSE3, SSE4.1 */
        return 0;
    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || !(ebx & (1u << 29))) /* SHA */
        return 0;
    return STREAMS_MAX;
}

/* So large is a stream. */
size_t sha256_stream_bytes(void)
{
    return sizeof(stream);
}

static _Thread_local sigjmp_buf way_out;
static _Thread_local volatile sig_atomic_t is_taking;

static void leave(int number)
{
    if (is_taking)
        siglongjmp(way_out, 1);
    signal(number, SIG_DFL); /* it is no fault of ours, and comes again */
}

/* Survive files that are cut off while they are mapped; returns 0 if that can be done. */
int sha256_survive_cuts(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = leave;
    action.sa_flags = SA_NODEFER; /* nothing is blocked that siglongjmp would have to free again */
    return sigaction(SIGBUS, &action, NULL);
}

/* Take the next bytes of so many streams, of which none is there twice. It is best if they are equally many of each.
 * Returns 0, or -1 if they could not be had: all are as before then.
 *
 * Whenever the arguments change, the name does: a library that was built before is refused then, and not called. */
int sha256_take(const piece asked[], int count)
{
    piece pieces[STREAMS_MAX];
    stream before[STREAMS_MAX];
    if (count < 0 || count > STREAMS_MAX)
        return -1;
    for (int number = 0; number < count; number++) {
        pieces[number] = asked[number];
        before[number] = *asked[number].to;
    }
    if (sigsetjmp(way_out, 0)) {
        is_taking = 0;
        for (int number = 0; number < count; number++)
            *asked[number].to = before[number];
        return -1;
    }
    is_taking = 1;
    take(pieces, count);
    is_taking = 0;
    return 0;
}

/* End a stream, and write its digest. */
void sha256_finish(stream *of, uint8_t digest[32])
{
    uint64_t bits = of->length * 8;
    size_t held = partial_length(of);
    memset(of->partial + held, 0, BLOCK_BYTES - held);
    of->partial[held] = 0x80;
    if (held >= BLOCK_BYTES - LENGTH_BYTES) {
        take_block(of->state, of->partial);
        memset(of->partial, 0, BLOCK_BYTES);
    }
    for (int place = 0; place < LENGTH_BYTES; place++)
        of->partial[BLOCK_BYTES - 1 - place] = (uint8_t)(bits >> (8 * place));
    take_block(of->state, of->partial);
    for (int place = 0; place < 32; place++)
        digest[place] = (uint8_t)(of->state[place / 4] >> (24 - 8 * (place % 4)));
}

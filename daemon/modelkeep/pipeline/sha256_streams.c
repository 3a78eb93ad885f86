/* SHA-256 by the processor's own instructions (SHA-NI), of one stream of bytes or of two or three at the same time.
 *
 * The result of sha256rnds2 can be used after four cycles, and the next one can begin earlier: a single stream waits
 * for itself all the time, two in one thread fill the gaps of each other. They keep one unit of the processor busy. Those
 * that compute with general registers are idle meanwhile: they take a third stream, at a quarter of the speed.
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
#define SHA_NI_AND_BMI __attribute__((target("sha,sse4.1,ssse3,bmi,bmi2")))
#define INLINE static inline __attribute__((always_inline))
#define BLOCK_BYTES 64
#define LENGTH_BYTES 8
#define STREAMS 3

/* While the third stream takes a block, each of the others takes so many. */
#define SLOWER 4

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

/* Four rounds; `step` counts them in fours from 0 to 15. */
INLINE SHA_NI void four_rounds(lane *held, const schedule *block, int step)
{
    __m128i constants = _mm_load_si128((const __m128i *)(ROUND_CONSTANTS + 4 * step));
    __m128i sum = _mm_add_epi32(block->words[step % 4], constants);
    held->cdgh = _mm_sha256rnds2_epu32(held->cdgh, held->abef, sum);
    held->abef = _mm_sha256rnds2_epu32(held->abef, held->cdgh, _mm_shuffle_epi32(sum, 0x0E));
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

/* Take whole blocks of one stream. */
SHA_NI static void blocks_of_one(uint32_t state[8], const uint8_t *data, size_t blocks)
{
    lane held = load_state(state);
    for (; blocks > 0; blocks--, data += BLOCK_BYTES) {
        lane before = held;
        schedule block = load_block(data);
        call_for(data);
#define STEP(step)                                                                                                     \
    four_rounds(&held, &block, step);                                                                                  \
    if (step < 12)                                                                                                     \
        extend(&block, step);
        SIXTEEN(STEP)
#undef STEP
        held = add(held, before);
    }
    store_state(state, held);
}

/* Take equally many whole blocks of two streams. */
SHA_NI static void blocks_of_two(uint32_t one_state[8], const uint8_t *one_data, uint32_t other_state[8],
                                 const uint8_t *other_data, size_t blocks)
{
    lane one = load_state(one_state), other = load_state(other_state);
    for (; blocks > 0; blocks--, one_data += BLOCK_BYTES, other_data += BLOCK_BYTES) {
        lane one_before = one, other_before = other;
        schedule one_block = load_block(one_data), other_block = load_block(other_data);
        call_for(one_data);
        call_for(other_data);
#define STEP(step)                                                                                                     \
    four_rounds(&one, &one_block, step);                                                                               \
    four_rounds(&other, &other_block, step);                                                                           \
    if (step < 12) {                                                                                                   \
        extend(&one_block, step);                                                                                      \
        extend(&other_block, step);                                                                                    \
    }
        SIXTEEN(STEP)
#undef STEP
        one = add(one, one_before);
        other = add(other, other_before);
    }
    store_state(one_state, one);
    store_state(other_state, other);
}

/* The eight words of a state in general registers. */
typedef struct {
    uint32_t a, b, c, d, e, f, g, h;
} words;

INLINE uint32_t rotate(uint32_t word, int count)
{
    return word >> count | word << (32 - count);
}

INLINE SHA_NI_AND_BMI void one_round(words *held, uint32_t word_and_constant)
{
    uint32_t sum1 = rotate(held->e, 6) ^ rotate(held->e, 11) ^ rotate(held->e, 25);
    uint32_t choice = held->g ^ (held->e & (held->f ^ held->g));
    uint32_t sum0 = rotate(held->a, 2) ^ rotate(held->a, 13) ^ rotate(held->a, 22);
    uint32_t majority = (held->a & held->b) ^ (held->c & (held->a ^ held->b));
    uint32_t rest = held->h + word_and_constant + sum1 + choice;
    words next = {rest + sum0 + majority, held->a, held->b, held->c, held->d + rest, held->e, held->f, held->g};
    *held = next;
}

/* Replace a word of the message schedule that was just used by the one which is used sixteen rounds later. */
INLINE SHA_NI_AND_BMI void extend_word(uint32_t schedule[16], int round)
{
    uint32_t second = schedule[(round + 1) % 16], newest = schedule[(round + 14) % 16];
    uint32_t sum0 = rotate(second, 7) ^ rotate(second, 18) ^ second >> 3;
    uint32_t sum1 = rotate(newest, 17) ^ rotate(newest, 19) ^ newest >> 10;
    schedule[round % 16] += sum0 + schedule[(round + 9) % 16] + sum1;
}

INLINE void load_words(uint32_t schedule[16], const uint8_t *block)
{
    memcpy(schedule, block, BLOCK_BYTES);
    for (int word = 0; word < 16; word++)
        schedule[word] = __builtin_bswap32(schedule[word]);
}

/* Three streams: the first two by SHA-NI, the third in general registers. */
typedef struct {
    lane one, other;
    words third;
} trio;

/* Take a block of the first two streams, and the next sixteen rounds of the third, whose schedule is extended unless
 * they are its last. */
INLINE SHA_NI_AND_BMI void quarter(trio *held, const uint8_t *one_data, const uint8_t *other_data,
                                   uint32_t third_schedule[16], const uint32_t *constants, int is_last)
{
    lane one_before = held->one, other_before = held->other;
    schedule one_block = load_block(one_data), other_block = load_block(other_data);
    call_for(one_data);
    call_for(other_data);
#define STEP(step)                                                                                                     \
    four_rounds(&held->one, &one_block, step);                                                                         \
    four_rounds(&held->other, &other_block, step);                                                                     \
    if (step < 12) {                                                                                                   \
        extend(&one_block, step);                                                                                      \
        extend(&other_block, step);                                                                                    \
    }                                                                                                                  \
    one_round(&held->third, third_schedule[step] + constants[step]);                                                   \
    if (!is_last)                                                                                                      \
        extend_word(third_schedule, step);
    SIXTEEN(STEP)
#undef STEP
    held->one = add(held->one, one_before);
    held->other = add(held->other, other_before);
}

/* Take whole blocks of three streams: so many of the third, and SLOWER times as many of each of the others. */
SHA_NI_AND_BMI static void blocks_of_three(uint32_t one_state[8], const uint8_t *one_data, uint32_t other_state[8],
                                           const uint8_t *other_data, uint32_t third_state[8],
                                           const uint8_t *third_data, size_t blocks)
{
    trio held = {load_state(one_state), load_state(other_state), {0}};
    memcpy(&held.third, third_state, sizeof held.third);
    for (; blocks > 0; blocks--, third_data += BLOCK_BYTES) {
        words before = held.third;
        uint32_t third_schedule[16];
        load_words(third_schedule, third_data);
        call_for(third_data);
        for (int turn = 0; turn < SLOWER; turn++, one_data += BLOCK_BYTES, other_data += BLOCK_BYTES)
            if (turn < SLOWER - 1)
                quarter(&held, one_data, other_data, third_schedule, ROUND_CONSTANTS + 16 * turn, 0);
            else
                quarter(&held, one_data, other_data, third_schedule, ROUND_CONSTANTS + 16 * turn, 1);
        held.third.a += before.a;
        held.third.b += before.b;
        held.third.c += before.c;
        held.third.d += before.d;
        held.third.e += before.e;
        held.third.f += before.f;
        held.third.g += before.g;
        held.third.h += before.h;
    }
    store_state(one_state, held.one);
    store_state(other_state, held.other);
    memcpy(third_state, &held.third, sizeof held.third);
}

/* A stream of which some bytes have been taken; `sha256.py` sets its first state. */
typedef struct {
    uint32_t state[8];
    uint64_t length;
    uint8_t partial[BLOCK_BYTES];
} stream;

typedef struct {
    const uint8_t *data;
    size_t length;
} bytes;

static size_t partial_length(const stream *of)
{
    return of->length % BLOCK_BYTES;
}

/* Take bytes into the block that is not full yet; returns those that are left. */
static bytes fill_partial(stream *to, bytes from)
{
    size_t held = partial_length(to);
    size_t taken = BLOCK_BYTES - held < from.length ? BLOCK_BYTES - held : from.length;
    if (taken > 0)
        memcpy(to->partial + held, from.data, taken);
    to->length += taken;
    if (taken > 0 && partial_length(to) == 0)
        blocks_of_one(to->state, to->partial, 1);
    bytes left = {from.data + taken, from.length - taken};
    return left;
}

/* A stream, and the bytes that it takes next. */
typedef struct {
    stream *to;
    bytes from;
} piece;

static size_t whole_blocks(const piece *of)
{
    return of->from.length / BLOCK_BYTES;
}

static size_t smaller(size_t one, size_t other)
{
    return one < other ? one : other;
}

static void skip(piece *of, size_t blocks)
{
    size_t taken = blocks * BLOCK_BYTES;
    of->from.data += taken;
    of->from.length -= taken;
    of->to->length += taken;
}

static void take_three(piece pieces[STREAMS])
{
    size_t blocks = smaller(whole_blocks(&pieces[0]), whole_blocks(&pieces[1])) / SLOWER;
    blocks = smaller(blocks, whole_blocks(&pieces[2]));
    blocks_of_three(pieces[0].to->state, pieces[0].from.data, pieces[1].to->state, pieces[1].from.data,
                    pieces[2].to->state, pieces[2].from.data, blocks);
    skip(&pieces[0], SLOWER * blocks);
    skip(&pieces[1], SLOWER * blocks);
    skip(&pieces[2], blocks);
}

static void take_two(piece pieces[2])
{
    size_t blocks = smaller(whole_blocks(&pieces[0]), whole_blocks(&pieces[1]));
    blocks_of_two(pieces[0].to->state, pieces[0].from.data, pieces[1].to->state, pieces[1].from.data, blocks);
    skip(&pieces[0], blocks);
    skip(&pieces[1], blocks);
}

/* Take what is left: whole blocks, and the beginning of another. */
static void take_rest(piece *of)
{
    size_t blocks = whole_blocks(of);
    blocks_of_one(of->to->state, of->from.data, blocks);
    skip(of, blocks);
    of->from = fill_partial(of->to, of->from);
}

static void take(piece pieces[], int count)
{
    for (int number = 0; number < count; number++) /* complete the blocks that are begun */
        if (partial_length(pieces[number].to) > 0)
            pieces[number].from = fill_partial(pieces[number].to, pieces[number].from);
    if (count == STREAMS)
        take_three(pieces);
    if (count >= 2)
        take_two(pieces);
    for (int number = 0; number < count; number++)
        take_rest(&pieces[number]);
}

/* Tell how many streams at once gain anything on this processor; none if it lacks the instructions. */
int sha256_streams(void)
{
    unsigned int eax, ebx, ecx, edx;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & (1u << 9)) || !(ecx & (1u << 19))) /* SSSE3, SSE4.1 */
        return 0;
    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || !(ebx & (1u << 29))) /* SHA */
        return 0;
    return ebx & (1u << 3) && ebx & (1u << 8) ? STREAMS : 2; /* BMI, BMI2 */
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

/* Take the next bytes of streams, not more than `sha256_streams` says; where there are fewer than three, the last pointers
 * are NULL. The third is best given a quarter of the bytes of the others. Returns 0, or -1 if they could not be had: all
 * are as before then. */
int sha256_update(stream *one, const uint8_t *one_data, size_t one_length, stream *other, const uint8_t *other_data,
                  size_t other_length, stream *third, const uint8_t *third_data, size_t third_length)
{
    stream *const streams[STREAMS] = {one, other, third};
    const int count = third != NULL ? 3 : other != NULL ? 2 : 1;
    stream before[STREAMS];
    for (int number = 0; number < count; number++)
        before[number] = *streams[number];
    if (sigsetjmp(way_out, 0)) {
        is_taking = 0;
        for (int number = 0; number < count; number++)
            *streams[number] = before[number];
        return -1;
    }
    is_taking = 1;
    piece pieces[STREAMS] = {
        {one, {one_data, one_length}}, {other, {other_data, other_length}}, {third, {third_data, third_length}}};
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
        blocks_of_one(of->state, of->partial, 1);
        memset(of->partial, 0, BLOCK_BYTES);
    }
    for (int place = 0; place < LENGTH_BYTES; place++)
        of->partial[BLOCK_BYTES - 1 - place] = (uint8_t)(bits >> (8 * place));
    blocks_of_one(of->state, of->partial, 1);
    for (int place = 0; place < 32; place++)
        digest[place] = (uint8_t)(of->state[place / 4] >> (24 - 8 * (place % 4)));
}

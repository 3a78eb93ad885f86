/* SHA-256 by the processor's own instructions (SHA-NI), of one stream of bytes or of two at the same time.
 *
 * The result of sha256rnds2 can be used after four cycles, and the next one can begin earlier: a single stream waits
 * for itself all the time, two in one thread fill the gaps of each other.
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
#define INLINE static inline __attribute__((always_inline)) SHA_NI
#define BLOCK_BYTES 64
#define LENGTH_BYTES 8

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

INLINE lane load_state(const uint32_t state[8])
{
    __m128i dcba = _mm_loadu_si128((const __m128i *)state);
    __m128i hgfe = _mm_loadu_si128((const __m128i *)(state + 4));
    __m128i cdab = _mm_shuffle_epi32(dcba, 0xB1);
    __m128i efgh = _mm_shuffle_epi32(hgfe, 0x1B);
    lane loaded = {_mm_alignr_epi8(cdab, efgh, 8), _mm_blend_epi16(efgh, cdab, 0xF0)};
    return loaded;
}

INLINE void store_state(uint32_t state[8], lane held)
{
    __m128i feba = _mm_shuffle_epi32(held.abef, 0x1B);
    __m128i dchg = _mm_shuffle_epi32(held.cdgh, 0xB1);
    _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(feba, dchg, 0xF0));
    _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

INLINE schedule load_block(const uint8_t *block)
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
INLINE void four_rounds(lane *held, const schedule *block, int step)
{
    __m128i constants = _mm_load_si128((const __m128i *)(ROUND_CONSTANTS + 4 * step));
    __m128i sum = _mm_add_epi32(block->words[step % 4], constants);
    held->cdgh = _mm_sha256rnds2_epu32(held->cdgh, held->abef, sum);
    held->abef = _mm_sha256rnds2_epu32(held->abef, held->cdgh, _mm_shuffle_epi32(sum, 0x0E));
}

/* Replace the four words that were just used by those which are used sixteen rounds later. */
INLINE void extend(schedule *block, int step)
{
    __m128i *words = block->words;
    __m128i newest = words[(step + 3) % 4];
    __m128i sum = _mm_sha256msg1_epu32(words[step % 4], words[(step + 1) % 4]);
    sum = _mm_add_epi32(sum, _mm_alignr_epi8(newest, words[(step + 2) % 4], 4));
    words[step % 4] = _mm_sha256msg2_epu32(sum, newest);
}

INLINE lane add(lane one, lane other)
{
    lane sum = {_mm_add_epi32(one.abef, other.abef), _mm_add_epi32(one.cdgh, other.cdgh)};
    return sum;
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

/* Complete the block that is begun, if one is; returns the bytes that are left. */
static bytes begin(stream *to, bytes from)
{
    return partial_length(to) > 0 ? fill_partial(to, from) : from;
}

static bytes skip(stream *to, bytes from, size_t blocks)
{
    size_t taken = blocks * BLOCK_BYTES;
    bytes left = {from.data + taken, from.length - taken};
    to->length += taken;
    return left;
}

/* Take what is left: whole blocks, and the beginning of another. */
static void take_rest(stream *to, bytes from)
{
    size_t blocks = from.length / BLOCK_BYTES;
    blocks_of_one(to->state, from.data, blocks);
    fill_partial(to, skip(to, from, blocks));
}

/* Tell whether this processor has the instructions. */
int sha256_is_supported(void)
{
    unsigned int eax, ebx, ecx, edx;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & (1u << 9)) || !(ecx & (1u << 19))) /* SSSE3, SSE4.1 */
        return 0;
    return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (ebx & (1u << 29)) != 0; /* SHA */
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

/* Take the next bytes of a stream. Returns 0, or -1 if they could not be had: it is as before then. */
int sha256_update(stream *to, const uint8_t *data, size_t length)
{
    const stream before = *to;
    if (sigsetjmp(way_out, 0)) {
        is_taking = 0;
        *to = before;
        return -1;
    }
    is_taking = 1;
    bytes from = {data, length};
    take_rest(to, begin(to, from));
    is_taking = 0;
    return 0;
}

static void take_two(stream *one, bytes from_one, stream *other, bytes from_other)
{
    from_one = begin(one, from_one);
    from_other = begin(other, from_other);
    size_t shorter = from_one.length < from_other.length ? from_one.length : from_other.length;
    size_t blocks = shorter / BLOCK_BYTES;
    blocks_of_two(one->state, from_one.data, other->state, from_other.data, blocks);
    take_rest(one, skip(one, from_one, blocks));
    take_rest(other, skip(other, from_other, blocks));
}

/* Take the next bytes of two streams; returns as `sha256_update`. */
int sha256_update_two(stream *one, const uint8_t *one_data, size_t one_length, stream *other,
                      const uint8_t *other_data, size_t other_length)
{
    const stream one_before = *one, other_before = *other;
    if (sigsetjmp(way_out, 0)) {
        is_taking = 0;
        *one = one_before;
        *other = other_before;
        return -1;
    }
    is_taking = 1;
    bytes from_one = {one_data, one_length}, from_other = {other_data, other_length};
    take_two(one, from_one, other, from_other);
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

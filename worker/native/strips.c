/*
 * Strips of a picture on their way into a PNG: filtered row by row, and deflated with Huffman codes and runs alone.
 *
 * Pixels of a photograph leave little that repeats once they are filtered, so no matches are searched but runs of one
 * byte (RFC 1951's distance 1). What is left is the choice of filters (PNG, third edition, 9.2) and Huffman codes.
 * The caller compares with a real match search on a sample, and takes that one where things do repeat.
 *
 * No allocation, no library, no global state: every function works on memory that its caller gives.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "bits are put and pairs are read as little-endian numbers"
#endif

/* ---- filters ---- */

enum { NONE, SUB, UP, AVERAGE, PAETH, FILTERS };

static inline uint8_t apart(uint8_t a, uint8_t b)
{
    return a > b ? a - b : b - a;
}

/*
 * PNG's predictor in bytes alone, so that a vector holds as many as it can. With p = left + above - corner, p is as far
 * from left as above is from corner, and as far from above as left is from corner. It is nearer to corner than to
 * both only where left and above lie on either side of corner.
 */
static inline uint8_t paeth(uint8_t left, uint8_t above, uint8_t corner)
{
    const uint8_t to_left = apart(above, corner), to_above = apart(left, corner);
    const uint8_t to_nearer = to_left < to_above ? to_left : to_above;
    const uint8_t nearer = to_left <= to_above ? left : above;
    const bool between = (above > corner) != (left > corner);
    return (between & (apart(to_left, to_above) < to_nearer)) ? corner : nearer;
}

/* One row through one filter. `row` and `above` have `length` bytes, `pixel` bytes a pixel. */
static void filter_row(int kind, const uint8_t *restrict row, const uint8_t *restrict above, size_t length,
                       size_t pixel, uint8_t *restrict out)
{
    for (size_t i = 0; i < pixel; i++) { /* left of the first pixel is nothing: zeros */
        const uint8_t expected[FILTERS] = {0, 0, above[i], above[i] >> 1, above[i]};
        out[i] = row[i] - expected[kind];
    }
    switch (kind) {
    case NONE:
        memcpy(out, row, length);
        break;
    case SUB:
        for (size_t i = pixel; i < length; i++) out[i] = row[i] - row[i - pixel];
        break;
    case UP:
        for (size_t i = pixel; i < length; i++) out[i] = row[i] - above[i];
        break;
    case AVERAGE:
        for (size_t i = pixel; i < length; i++) out[i] = row[i] - (uint8_t)((row[i - pixel] + above[i]) >> 1);
        break;
    default:
        for (size_t i = pixel; i < length; i++)
            out[i] = row[i] - paeth(row[i - pixel], above[i], above[i - pixel]);
    }
}

/* The sum of a filtered row's magnitudes: small where the bytes are near zero, and so easy to code. */
static uint64_t magnitude(const uint8_t *bytes, size_t length)
{
    uint64_t sum = 0;
    size_t i = 0;
#if defined(__AVX2__)
    const __m256i zero = _mm256_setzero_si256();
    __m256i sums = zero;
    for (; i + 32 <= length; i += 32) {
        const __m256i x = _mm256_loadu_si256((const __m256i *)(bytes + i));
        sums = _mm256_add_epi64(sums, _mm256_sad_epu8(_mm256_abs_epi8(x), zero));
    }
    sum = (uint64_t)_mm256_extract_epi64(sums, 0) + (uint64_t)_mm256_extract_epi64(sums, 1) +
          (uint64_t)_mm256_extract_epi64(sums, 2) + (uint64_t)_mm256_extract_epi64(sums, 3);
#endif
    for (; i < length; i++) {
        const uint8_t x = bytes[i], negative = (uint8_t)-x;
        sum += x < negative ? x : negative;
    }
    return sum;
}

/* A row as PNG has it, from a row as Pillow has it: RGB without the fourth byte, or grey as it is. */
static void pack_row(const uint8_t *restrict from, size_t width, size_t stored, uint8_t *restrict to)
{
    if (stored == 1) {
        memcpy(to, from, width);
        return;
    }
    for (size_t x = 0; x < width; x++) memcpy(to + 3 * x, from + 4 * x, 4); /* the fourth byte is overwritten next */
}

/*
 * Filters a band of `rows` + 1 rows as Pillow holds them (`stored` bytes a pixel: 4 for RGB, 1 for grey), of which the
 * first is the row above. `kinds` has a bit for each filter that may be used; each row takes the one with the least
 * magnitude. Writes rows x (1 + width x 3 or 1) bytes to `out`. `scratch` has room for four packed rows and 16 bytes.
 */
void darkroom_filter(const uint8_t *band, size_t width, size_t rows, size_t stored, unsigned kinds, uint8_t *out,
                     uint8_t *scratch)
{
    const size_t pixel = stored == 4 ? 3 : 1, length = width * pixel;
    uint8_t *above = scratch, *row = above + length + 4, *trial = row + length + 4, *best = trial + length + 4;
    pack_row(band, width, stored, above);
    for (size_t y = 1; y <= rows; y++, out += length + 1) {
        pack_row(band + y * width * stored, width, stored, row);
        if ((kinds & (kinds - 1)) == 0) { /* one kind alone: nothing to choose */
            const int kind = __builtin_ctz(kinds);
            out[0] = (uint8_t)kind;
            filter_row(kind, row, above, length, pixel, out + 1);
        } else {
            uint64_t least = UINT64_MAX;
            for (int kind = 0; kind < FILTERS; kind++) {
                if (!(kinds >> kind & 1)) continue;
                filter_row(kind, row, above, length, pixel, trial);
                const uint64_t sum = magnitude(trial, length);
                if (sum < least) {
                    least = sum;
                    out[0] = (uint8_t)kind;
                    uint8_t *const swap = best;
                    best = trial;
                    trial = swap;
                }
            }
            memcpy(out + 1, best, length);
        }
        uint8_t *const swap = above;
        above = row;
        row = swap;
    }
}

/* ---- deflate (RFC 1951) ---- */

enum {
    LITERALS = 256,
    END = 256,
    SYMBOLS = 286,
    CODE_MOST = 14,  /* bits of a code: four of them and 7 that wait fit into 64; 12 would cost 3 % of the bytes */
    RUN_LEAST = 4,   /* bytes; a run of three saves nothing */
    RUN_MOST = 258,
    BLOCK = 1 << 20, /* bytes that share Huffman codes: a strip, or a part of a very wide one */
    SMALL = 1 << 16, /* fewer bytes than this are counted as a whole */
    PIECE = 256,     /* bytes counted in a row; the next are 16 pieces further */
    PIECES = 16,
};

struct bits {
    uint64_t waiting;
    unsigned count;
    uint8_t *at;
};

static inline void put(struct bits *bits, uint64_t value, unsigned length)
{
    bits->waiting |= value << bits->count;
    bits->count += length;
}

/* A code as `assign_codes` makes it: its length in the low bits, the code itself above them. */
enum { LENGTH_BITS = 6 };

static inline void put_code(struct bits *bits, uint64_t code)
{
    put(bits, code >> LENGTH_BITS, code & 63);
}

/* Whole bytes leave; at most 7 bits stay. Writes 8 bytes, of which those past the whole ones are written again. */
static inline void drain(struct bits *bits)
{
    memcpy(bits->at, &bits->waiting, 8);
    bits->at += bits->count >> 3;
    bits->waiting >>= bits->count & ~7u; /* at most 56: puts of at most 55 bits come between drains */
    bits->count &= 7;
}

static inline uint64_t load8(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, 8);
    return word;
}

/* Bit i is set where byte i equals the byte before it, for 64 bytes; `bytes[-1]` and 64 bytes can be read. */
static inline uint64_t repeats(const uint8_t *bytes)
{
#if defined(__AVX2__)
    uint64_t found = 0;
    for (int i = 0; i < 2; i++) {
        const __m256i here = _mm256_loadu_si256((const __m256i *)(bytes + 32 * i));
        const __m256i before = _mm256_loadu_si256((const __m256i *)(bytes + 32 * i - 1));
        found |= (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(here, before)) << (32 * i);
    }
    return found;
#else
    const uint64_t low = 0x7f7f7f7f7f7f7f7full;
    uint64_t found = 0;
    for (int i = 0; i < 8; i++) {
        const uint64_t differs = load8(bytes + 8 * i) ^ load8(bytes + 8 * i - 1);
        const uint64_t equal = ~(((differs & low) + low) | differs | low) >> 7; /* 1 in each byte that is zero */
        found |= (equal * 0x0102040810204080ull >> 56) << (8 * i);
    }
    return found;
#endif
}

/* How many bytes from `at` on equal the byte before `at`. */
static size_t run_at(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *here = at;
    while (end - here >= 8) {
        const uint64_t differs = load8(here) ^ load8(here - 1);
        if (differs) return (size_t)(here - at) + (size_t)(__builtin_ctzll(differs) >> 3);
        here += 8;
    }
    while (here < end && *here == here[-1]) here++;
    return (size_t)(here - at);
}

/* A run's length in deflate's terms: symbol, and extra bits. */
struct length {
    unsigned symbol, extra, extra_bits;
};

static inline struct length length_of(size_t run)
{
    if (run == RUN_MOST) return (struct length){285, 0, 0};
    const unsigned more = (unsigned)run - 3;
    if (more < 8) return (struct length){257 + more, 0, 0};
    const unsigned top = 31u - (unsigned)__builtin_clz(more), bits = top - 2;
    return (struct length){257 + 4 * (top - 1) + (more >> bits & 3), more & ((1u << bits) - 1), bits};
}

/* What the bytes become: counted, or written. */
struct target {
    uint32_t *counts; /* two tables of SYMBOLS: neighbours often share a symbol, and would wait for each other */
    const uint64_t *codes;
    const uint64_t *pairs; /* codes of two literals in a row, by both as a little-endian number */
    const uint64_t *runs;  /* codes of runs with their extra bits and distance, by length */
    struct bits *bits;
};

static inline __attribute__((always_inline)) void four_literals(const uint8_t *at, struct target to, bool writing)
{
    if (!writing) {
        to.counts[at[0]]++;
        to.counts[SYMBOLS + at[1]]++;
        to.counts[at[2]]++;
        to.counts[SYMBOLS + at[3]]++;
        return;
    }
    uint16_t one, two;
    memcpy(&one, at, 2);
    memcpy(&two, at + 2, 2);
    const uint64_t first = to.pairs[one], second = to.pairs[two];
    /* Lengths sum up in the entries' low bits; shifts look at no others. */
    put(to.bits, first >> LENGTH_BITS | second >> LENGTH_BITS << (first & 63), (first + second) & 63);
    drain(to.bits);
}

static inline __attribute__((always_inline)) void symbol(unsigned which, struct target to, bool writing)
{
    if (!writing) {
        to.counts[which]++;
        return;
    }
    put_code(to.bits, to.codes[which]);
    drain(to.bits);
}

/* `count` literals; 3 bytes more can be read. */
static inline __attribute__((always_inline)) void literals(const uint8_t *at, size_t count, struct target to,
                                                           bool writing)
{
    for (; count >= 4; count -= 4, at += 4) four_literals(at, to, writing);
    if (!writing) {
        for (; count; count--, at++) symbol(*at, to, writing);
        return;
    }
    /* How many are left is anybody's guess, the processor's too: chosen without a branch. */
    uint16_t both;
    memcpy(&both, at, 2);
    const uint64_t one = to.codes[at[0]], two = to.pairs[both], three = to.codes[at[2]];
    const uint64_t first = count == 0 ? 0 : count == 1 ? one : two, second = count == 3 ? three : 0;
    put(to.bits, first >> LENGTH_BITS | second >> LENGTH_BITS << (first & 63), (first + second) & 63);
    drain(to.bits);
}

static inline __attribute__((always_inline)) void run_of(size_t length, struct target to, bool writing)
{
    if (!writing) {
        to.counts[length_of(length).symbol]++;
        return;
    }
    put_code(to.bits, to.runs[length]);
    drain(to.bits);
}

static inline __attribute__((always_inline)) void runs(size_t length, struct target to, bool writing)
{
    /* What remains must be a length that deflate has: not 1 or 2. */
    for (; length > RUN_MOST + 2; length -= RUN_MOST) run_of(RUN_MOST, to, writing);
    if (length > RUN_MOST) {
        run_of(RUN_LEAST, to, writing);
        length -= RUN_LEAST;
    }
    run_of(length, to, writing);
}

/* The bytes from `at` to `end` as literals and runs. `at[-1]` is the byte before, which a run may continue. */
static inline __attribute__((always_inline)) void tokens(const uint8_t *at, const uint8_t *end, struct target to,
                                                         bool writing)
{
    while (end - at >= 64) {
        const uint64_t same = repeats(at);
        const uint32_t starts = (uint32_t)(same & same >> 1 & same >> 2 & same >> 3); /* of runs of 4 and more */
        if (!starts) {
            for (int i = 0; i < 32; i += 4) four_literals(at + i, to, writing);
            at += 32;
            continue;
        }
        const unsigned before = (unsigned)__builtin_ctz(starts);
        literals(at, before, to, writing);
        at += before;
        const uint64_t rest = ~(same >> before); /* the bits that come in from above count as not the same */
        size_t run = rest ? (size_t)__builtin_ctzll(rest) : 64;
        if (run + before == 64) run += run_at(at + run, end);
        runs(run, to, writing);
        at += run;
    }
    while (at < end) {
        const size_t run = run_at(at, end);
        if (run >= RUN_LEAST) {
            runs(run, to, writing);
            at += run;
        } else {
            symbol(*at++, to, writing);
        }
    }
}

/*
 * Lengths of Huffman codes for `count` symbols, none over `most` bits; 0 for a symbol that does not occur. At least two
 * symbols occur. The tree is built in place (Moffat and Katajainen, 1995), then codes that are too long are shortened.
 */
static void code_lengths(const uint32_t *counts, int count, int most, uint8_t *lengths)
{
    uint32_t tree[SYMBOLS];
    uint16_t sorted[SYMBOLS];
    int used = 0;
    for (int i = 0; i < count; i++) {
        lengths[i] = 0;
        if (!counts[i]) continue;
        tree[used] = counts[i];
        sorted[used++] = (uint16_t)i;
    }
    for (int gap = 121; gap; gap /= 3) { /* Shell's sort */
        for (int i = gap; i < used; i++) {
            const uint32_t weight = tree[i];
            const uint16_t which = sorted[i];
            int place = i;
            for (; place >= gap && tree[place - gap] > weight; place -= gap) {
                tree[place] = tree[place - gap];
                sorted[place] = sorted[place - gap];
            }
            tree[place] = weight;
            sorted[place] = which;
        }
    }
    int root = 0, leaf = 0;
    for (int next = 0; next < used - 1; next++) { /* pairs of the lightest; an inner node comes to know its parent */
        for (int child = 0; child < 2; child++) {
            uint32_t weight;
            if (leaf >= used || (root < next && tree[root] < tree[leaf])) {
                weight = tree[root];
                tree[root++] = (uint32_t)next;
            } else {
                weight = tree[leaf++];
            }
            tree[next] = child ? tree[next] + weight : weight;
        }
    }
    int depths[64] = {0}; /* leaves at each depth; 2^32 counts make no tree deeper than 46 */
    tree[used - 2] = 0;
    for (int next = used - 3; next >= 0; next--) tree[next] = tree[tree[next]] + 1;
    int inner = used - 2, open = 1;
    for (int depth = 0; open > 0; depth++) {
        int branches = 0;
        for (; inner >= 0 && (int)tree[inner] == depth; inner--) branches++;
        depths[depth > most ? most : depth] += open - branches;
        open = 2 * branches;
    }
    int64_t space = 0; /* Kraft's sum, in units of the longest code */
    for (int length = 1; length <= most; length++) space += (int64_t)depths[length] << (most - length);
    for (; space > (int64_t)1 << most; space--) { /* one of the longest goes beside a shorter one, made longer */
        int length = most - 1;
        while (!depths[length]) length--;
        depths[most]--;
        depths[length]--;
        depths[length + 1] += 2;
    }
    for (int i = 0, length = most; length > 0; length--)
        for (int left = depths[length]; left; left--) lengths[sorted[i++]] = (uint8_t)length;
}

/* Canonical codes for lengths of at most 15, their bits reversed, as deflate wants them. */
static void assign_codes(const uint8_t *lengths, int count, uint64_t *codes)
{
    uint32_t of_length[16] = {0}, next[16] = {0};
    for (int i = 0; i < count; i++) of_length[lengths[i]]++;
    of_length[0] = 0;
    for (int length = 1; length < 16; length++) next[length] = (next[length - 1] + of_length[length - 1]) << 1;
    for (int i = 0; i < count; i++) {
        uint32_t code = 0;
        if (lengths[i]) {
            const uint32_t value = next[lengths[i]]++;
            for (int bit = 0; bit < lengths[i]; bit++) code |= (value >> bit & 1) << (lengths[i] - 1 - bit);
        }
        codes[i] = code << LENGTH_BITS | lengths[i];
    }
}

/* What is written for two literals in a row. */
static void pair_codes(const uint64_t *restrict codes, uint64_t *restrict pairs)
{
    for (int second = 0; second < LITERALS; second++) {
        const uint64_t code = codes[second] >> LENGTH_BITS << LENGTH_BITS, length = codes[second] & 63;
        for (int first = 0; first < LITERALS; first++)
            pairs[second << 8 | first] = (codes[first] | code << (codes[first] & 63)) + length;
    }
}

/* What is written for a run: its symbol, its extra bits, and the one distance code, whose 1 bit is 0. */
static void run_codes(const uint64_t *codes, uint64_t *runs)
{
    for (int run = RUN_LEAST - 1; run <= RUN_MOST; run++) {
        const struct length length = length_of((size_t)run);
        const uint64_t code = codes[length.symbol], bits = (code >> LENGTH_BITS) | (uint64_t)length.extra << (code & 63);
        runs[run] = bits << LENGTH_BITS | ((code & 63) + length.extra_bits + 1);
    }
}

/* A dynamic block's header: the lengths of all codes, run-length coded and Huffman-coded in their turn. */
static void put_header(const uint8_t *lengths, struct bits *bits)
{
    static const uint8_t order[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    int symbols = SYMBOLS;
    while (symbols > END + 1 && !lengths[symbols - 1]) symbols--;
    uint8_t all[SYMBOLS + 1], kinds[SYMBOLS + 1], extras[SYMBOLS + 1];
    memcpy(all, lengths, (size_t)symbols);
    all[symbols] = 1; /* the one distance code */
    int used = 0;
    uint32_t counts[19] = {0};
    for (int i = 0; i <= symbols;) {
        int same = 1;
        while (i + same <= symbols && all[i + same] == all[i]) same++;
        uint8_t kind = all[i];
        int extra = 0, taken = 1;
        if (all[i] == 0 && same >= 11) {
            kind = 18, taken = same > 138 ? 138 : same, extra = taken - 11;
        } else if (all[i] == 0 && same >= 3) {
            kind = 17, taken = same > 10 ? 10 : same, extra = taken - 3;
        } else if (all[i] && i && all[i - 1] == all[i] && same >= 3) {
            kind = 16, taken = same > 6 ? 6 : same, extra = taken - 3;
        }
        kinds[used] = kind;
        extras[used++] = (uint8_t)extra;
        counts[kind]++;
        i += taken;
    }
    uint8_t code_length[19];
    uint64_t codes[19];
    code_lengths(counts, 19, 7, code_length);
    assign_codes(code_length, 19, codes);
    int sent = 19;
    while (sent > 4 && !code_length[order[sent - 1]]) sent--;
    put(bits, 0 | 2 << 1, 3); /* not the last block; dynamic codes */
    put(bits, (uint64_t)(symbols - 257), 5);
    put(bits, 0, 5);
    put(bits, (uint64_t)(sent - 4), 4);
    drain(bits);
    for (int i = 0; i < sent; i++) {
        put(bits, code_length[order[i]], 3);
        drain(bits);
    }
    for (int i = 0; i < used; i++) {
        const unsigned extra_bits = kinds[i] == 16 ? 2 : kinds[i] == 17 ? 3 : kinds[i] == 18 ? 7 : 0;
        put_code(bits, codes[kinds[i]]);
        put(bits, extras[i], extra_bits);
        drain(bits);
    }
}

/*
 * Counts for codes, of every `step`th PIECE of the bytes, with a little for each symbol that these may lack. At least the
 * first byte is counted as a literal: what comes before it is not known here.
 */
static void count(const uint8_t *at, const uint8_t *end, size_t step, uint32_t *counts)
{
    uint32_t both[2 * SYMBOLS] = {0};
    const struct target counting = {.counts = both};
    both[*at++]++;
    for (; at < end; at += (size_t)(end - at) > step ? step : (size_t)(end - at))
        tokens(at, end - at > PIECE ? at + PIECE : end, counting, false);
    for (int i = 0; i < SYMBOLS; i++) counts[i] = 16 * (both[i] + both[SYMBOLS + i]) + 1;
    counts[END] = 1;
}

/*
 * One block. `fresh` is 1 where the byte before `at` is not known, so that no run may begin there; else 0.
 */
static void put_block(const uint8_t *at, const uint8_t *end, int fresh, uint64_t *pairs, struct bits *bits)
{
    uint32_t counts[SYMBOLS];
    uint8_t lengths[SYMBOLS];
    uint64_t codes[SYMBOLS], of_runs[RUN_MOST + 1];
    count(at, end, end - at >= SMALL ? PIECES * PIECE : PIECE, counts);
    code_lengths(counts, SYMBOLS, CODE_MOST, lengths);
    assign_codes(lengths, SYMBOLS, codes);
    pair_codes(codes, pairs);
    run_codes(codes, of_runs);
    put_header(lengths, bits);
    struct bits local = *bits; /* known to be nobody else's, so that it can live in registers */
    const struct target writing = {.codes = codes, .pairs = pairs, .runs = of_runs, .bits = &local};
    if (fresh) symbol(*at, writing, true);
    tokens(at + fresh, end, writing, true);
    symbol(END, writing, true);
    *bits = local;
}

/* How many bytes `darkroom_deflate` makes of so many, to within a few; without making them. */
size_t darkroom_deflated_size(const uint8_t *data, size_t length)
{
    uint32_t counts[SYMBOLS];
    uint8_t lengths[SYMBOLS], header[1024];
    count(data, data + length, PIECE, counts);
    code_lengths(counts, SYMBOLS, CODE_MOST, lengths);
    struct bits bits = {.at = header};
    put_header(lengths, &bits);
    uint64_t total = 0;
    for (int i = 0; i < SYMBOLS; i++) {
        const unsigned more = i <= END ? 0 : i < 265 || i == 285 ? 1 : (unsigned)(i - 257) / 4; /* extra, distance */
        total += (uint64_t)(counts[i] / 16) * (lengths[i] + more);
    }
    return (size_t)(bits.at - header) + total / 8 + 1;
}

/*
 * Deflates `length` bytes (at least one). Writes dynamic blocks of which none is the last. `state` holds the bits that
 * wait for a whole byte, and how many: zeros at the start, then as the call before left it. Gives the bytes written to
 * `out`, which has room for 2 bytes a byte and 1 KiB. `pairs` has room for 65,536 numbers.
 */
size_t darkroom_deflate(const uint8_t *data, size_t length, uint64_t state[2], uint8_t *out, uint64_t *pairs)
{
    struct bits bits = {.waiting = state[0], .count = (unsigned)state[1], .at = out};
    const uint8_t *const end = data + length;
    for (const uint8_t *at = data; at < end;) {
        const uint8_t *const stop = end - at > BLOCK ? at + BLOCK : end;
        put_block(at, stop, at == data, pairs, &bits);
        at = stop;
    }
    state[0] = bits.waiting;
    state[1] = bits.count;
    return (size_t)(bits.at - out);
}

/* lookalike's loadable functions for MySQL 9: `lookalike install-functions --native` builds them.
 *
 *   lookalike_native_distance(v1, v2, metric)         REAL, sums in float32
 *   lookalike_native_distance_double(v1, v2, metric)  REAL, sums in double precision
 *   lookalike_native_estimate(code, planes, ...)      INTEGER, the weighted sum of differing bits
 *   lookalike_native_rotate(vector, signs)            STRING, the rotated vector
 *   lookalike_native_subtract(v1, v2, factor)         STRING, v1 - factor * v2
 *   lookalike_native_planes(vector, n_planes)         STRING, the bit planes of a vector
 *   lookalike_native_step(vector, n_planes)           REAL, the step of these planes
 *
 * A vector is a VECTOR or its bytes: little-endian float32. NULL gives NULL. What cannot be computed
 * is an error: before the first row where the arguments are constants, or else at the row.
 *
 * No function keeps state between calls, and none reads past the lengths that the server gives.
 */

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "a VECTOR holds little-endian numbers: only little-endian machines are supported"
#endif

/* The interface of loadable functions, as MySQL 8.0 to 9.7 has it. Before 8.0.1 the bools were
 * chars, of the same size and place. */

enum item_result { STRING_RESULT, REAL_RESULT, INT_RESULT, ROW_RESULT, DECIMAL_RESULT };

typedef struct {
    unsigned int arg_count;
    enum item_result *arg_type;
    char **args; /* in _init only the constants; a NULL otherwise */
    unsigned long *lengths;
    char *maybe_null;
    char **attributes;
    unsigned long *attribute_lengths;
    void *extension;
} UDF_ARGS;

typedef struct {
    bool maybe_null;
    unsigned int decimals;
    unsigned long max_length;
    char *ptr;
    bool const_item;
    void *extension;
} UDF_INIT;

/* What the server exports to raise an error. Without it `*error` makes the result NULL. */
extern void my_printf_error(unsigned int code, const char *format, int flags, ...)
    __asm__("_Z15my_printf_errorjPKciz") __attribute__((weak));

#define ER_UDF_ERROR 3200
#define PROBLEM 160 /* the server has room for 512 */
#define MOST_NUMBERS 16384
#define MOST_PLANES 8
#define BLOCK 32
#define EXPORT __attribute__((visibility("default")))

/* Hot loops are compiled several times, and chosen by what the machine that runs them can do. */
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && !defined(LOOKALIKE_PLAIN)
#define FAST __attribute__((target_clones("avx512f", "avx2", "default"))) static
#define FAST_BITS __attribute__((target_clones("popcnt", "default"))) static
#else
#define FAST static
#define FAST_BITS static
#endif

typedef float number __attribute__((aligned(1), may_alias)); /* the server aligns nothing */
typedef unsigned char byte;
typedef bool check(const UDF_ARGS *args, char *problem);

/* Arguments */

static bool refuse(char *problem, const char *text)
{
    snprintf(problem, PROBLEM, "%s", text);
    return true;
}

static bool is_any_null(const UDF_ARGS *args)
{
    for (unsigned i = 0; i < args->arg_count; i++)
        if (!args->args[i]) return true;
    return false;
}

/* Check types and constants. kinds: of each argument: b bytes, i integer, r real. Where more are
 * given they are of the last kind, up to `most`. */
static bool begin(UDF_INIT *init, UDF_ARGS *args, char *message, const char *kinds, unsigned most,
                  const char *usage, check *is_wrong)
{
    unsigned least = (unsigned)strlen(kinds);
    init->maybe_null = true;
    init->ptr = NULL;
    if (args->arg_count < least || args->arg_count > most) {
        snprintf(message, PROBLEM, "the arguments are %s", usage);
        return true;
    }
    for (unsigned i = 0; i < args->arg_count; i++) {
        char kind = kinds[i < least ? i : least - 1];
        enum item_result type = args->arg_type[i];
        bool is_text = type == STRING_RESULT;
        if (kind == 'b' ? !is_text : is_text && args->args[i]) {
            snprintf(message, PROBLEM, "argument %u is %s: the arguments are %s", i + 1,
                     is_text ? "a text" : "a number", usage);
            return true;
        }
        if (kind == 'i' && !is_text && type != INT_RESULT) {
            snprintf(message, PROBLEM, "argument %u is not an integer", i + 1);
            return true;
        }
        if (kind == 'i') args->arg_type[i] = INT_RESULT; /* the server converts */
        if (kind == 'r') args->arg_type[i] = REAL_RESULT;
    }
    return is_wrong(args, message);
}

/* Have a string result: of at most `size` bytes, in memory that _deinit frees. */
static bool allocate(UDF_INIT *init, char *message, size_t size, size_t scratch)
{
    init->max_length = (unsigned long)size;
    init->ptr = malloc(size + scratch);
    return !init->ptr && refuse(message, "out of memory");
}

static void end(UDF_INIT *init)
{
    free(init->ptr);
    init->ptr = NULL;
}

/* Raise an error of the statement. `*error` would outlast a prepared statement's execution. */
static void fail(byte *is_null, byte *error, const char *name, const char *problem)
{
    if (my_printf_error)
        my_printf_error(ER_UDF_ERROR, "%s: %s", 0, name, problem);
    else
        *error = 1;
    *is_null = 1;
}

/* Return whether there is nothing to compute: an argument is NULL or wrong. */
static bool is_over(const UDF_ARGS *args, byte *is_null, byte *error, const char *name,
                    check *is_wrong)
{
    char problem[PROBLEM];
    if (is_any_null(args)) {
        *is_null = 1;
        return true;
    }
    if (!is_wrong(args, problem)) return false;
    fail(is_null, error, name, problem);
    return true;
}

static const number *numbers(const UDF_ARGS *args, unsigned i)
{
    return (const number *)args->args[i];
}

static bool is_no_vector(const UDF_ARGS *args, unsigned i, char *problem)
{
    if (!args->args[i] || (args->lengths[i] && args->lengths[i] % 4 == 0)) return false;
    snprintf(problem, PROBLEM, "argument %u is no vector: its %lu bytes are not float32 numbers",
             i + 1, args->lengths[i]);
    return true;
}

static bool are_no_pair(const UDF_ARGS *args, char *problem)
{
    if (is_no_vector(args, 0, problem) || is_no_vector(args, 1, problem)) return true;
    return args->args[0] && args->args[1] && args->lengths[0] != args->lengths[1] &&
           refuse(problem, "the vectors differ in length");
}

static bool is_too_long(const UDF_ARGS *args, char *problem)
{
    return args->args[0] && args->lengths[0] > 4 * MOST_NUMBERS &&
           refuse(problem, "the vector has more than 16384 numbers");
}

/* Distances */

struct sums { double xy, xx, yy; };

#define SUM _Pragma("omp simd reduction(+ : xy, xx, yy)") for (size_t i = 0; i < n; i++)
#define KERNELS(T)                                                                           \
    FAST struct sums cosine_##T(const number *x, const number *y, size_t n)                  \
    {                                                                                        \
        T xy = 0, xx = 0, yy = 0;                                                            \
        SUM { T a = x[i], b = y[i]; xy += a * b; xx += a * a; yy += b * b; }                 \
        return (struct sums){xy, xx, yy};                                                    \
    }                                                                                        \
    FAST struct sums dot_##T(const number *x, const number *y, size_t n)                     \
    {                                                                                        \
        T xy = 0, xx = 0, yy = 0;                                                            \
        SUM { T a = x[i], b = y[i]; xy += a * b; }                                           \
        return (struct sums){xy, 1 + xx, 1 + yy};                                            \
    }                                                                                        \
    FAST struct sums squares_##T(const number *x, const number *y, size_t n)                 \
    {                                                                                        \
        T xy = 0, xx = 0, yy = 0;                                                            \
        SUM { T a = x[i], b = y[i]; xy += (a - b) * (a - b); }                               \
        return (struct sums){xy, 1 + xx, 1 + yy};                                            \
    }                                                                                        \
    static struct sums sums_##T(char metric, const number *x, const number *y, size_t n)     \
    {                                                                                        \
        return metric == 'C' ? cosine_##T(x, y, n)                                           \
               : metric == 'D' ? dot_##T(x, y, n) : squares_##T(x, y, n);                    \
    }

KERNELS(float)
KERNELS(double)

/* Whether nothing that counts was lost above or below what a float32 holds. */
static bool is_safe(double sum) { return sum >= 1e-30 && sum <= 1e36; }

static char metric_of(const char *text, unsigned long length)
{
    if (length == 6 && !strncasecmp(text, "COSINE", 6)) return 'C';
    if (length == 9 && !strncasecmp(text, "EUCLIDEAN", 9)) return 'E';
    if (length == 3 && !strncasecmp(text, "DOT", 3)) return 'D';
    return 0;
}

static bool is_wrong_distance(const UDF_ARGS *args, char *problem)
{
    if (are_no_pair(args, problem)) return true;
    if (!args->args[2] || metric_of(args->args[2], args->lengths[2])) return false;
    int size = args->lengths[2] < 40 ? (int)args->lengths[2] : 40;
    snprintf(problem, PROBLEM, "the metric is COSINE, EUCLIDEAN or DOT, not %.*s", size,
             args->args[2]);
    for (char *c = problem; *c; c++)
        if (*c < ' ' || *c > '~') *c = '?'; /* any bytes may have been given */
    return true;
}

static double distance(const UDF_ARGS *args, byte *is_null, byte *error, const char *name,
                       bool in_double)
{
    if (is_over(args, is_null, error, name, is_wrong_distance)) return 0;
    char metric = metric_of(args->args[2], args->lengths[2]);
    const number *x = numbers(args, 0), *y = numbers(args, 1);
    size_t n = args->lengths[0] / 4;
    struct sums s = {0, 0, 0};
    if (!in_double) s = sums_float(metric, x, y, n);
    if (!(is_safe(s.xx) && is_safe(s.yy) && (metric == 'C' || is_safe(fabs(s.xy)))))
        s = sums_double(metric, x, y, n);
    if (!isfinite(s.xy + s.xx + s.yy)) {
        fail(is_null, error, name, "a number is infinite or NaN");
        return 0;
    }
    if (s.xx == 0 || s.yy == 0) { /* a zero vector has no direction */
        *is_null = 1;
        return 0;
    }
    if (metric == 'C') return 1 - s.xy / (sqrt(s.xx) * sqrt(s.yy));
    return metric == 'E' ? sqrt(s.xy) : s.xy;
}

#define DISTANCE(NAME, IN_DOUBLE)                                                             \
    EXPORT bool NAME##_init(UDF_INIT *init, UDF_ARGS *args, char *message)                    \
    {                                                                                         \
        init->decimals = 31; /* all digits */                                                 \
        return begin(init, args, message, "bbb", 3, "(v1, v2, metric)", is_wrong_distance);   \
    }                                                                                         \
    EXPORT double NAME(UDF_INIT *init, UDF_ARGS *args, byte *is_null, byte *error)            \
    {                                                                                         \
        (void)init;                                                                           \
        return distance(args, is_null, error, #NAME, IN_DOUBLE);                              \
    }

DISTANCE(lookalike_native_distance, false)
DISTANCE(lookalike_native_distance_double, true)

/* The estimate: sum of 2^j * BIT_COUNT(code ^ plane j). The planes are arguments of their own, or
 * one after the other in a single one. */

static bool is_wrong_estimate(const UDF_ARGS *args, char *problem)
{
    unsigned long size = args->args[0] ? args->lengths[0] : 0;
    if (args->args[0] && !size) return refuse(problem, "the code is empty");
    for (unsigned i = 1; size && i < args->arg_count; i++) {
        unsigned long given = args->args[i] ? args->lengths[i] : size;
        bool is_many = args->arg_count == 2 && given && given % size == 0;
        if (given != size && !(is_many && given / size <= MOST_PLANES))
            return refuse(problem, "the planes are 1 to 8, each as long as the code");
    }
    return false;
}

FAST_BITS long long differing_bits(const char *code, const char *plane, size_t size)
{
    long long count = 0;
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        uint64_t a, b;
        memcpy(&a, code + i, 8);
        memcpy(&b, plane + i, 8);
        count += __builtin_popcountll(a ^ b);
    }
    for (; i < size; i++) count += __builtin_popcount((byte)(code[i] ^ plane[i]));
    return count;
}

EXPORT bool lookalike_native_estimate_init(UDF_INIT *init, UDF_ARGS *args, char *message)
{
    return begin(init, args, message, "bb", 1 + MOST_PLANES, "(code, planes) or (code, p0, p1 ...)",
                 is_wrong_estimate);
}

EXPORT long long lookalike_native_estimate(UDF_INIT *init, UDF_ARGS *args, byte *is_null,
                                           byte *error)
{
    (void)init;
    if (is_over(args, is_null, error, "lookalike_native_estimate", is_wrong_estimate)) return 0;
    size_t size = args->lengths[0];
    long long sum = 0;
    unsigned j = 0;
    for (unsigned i = 1; i < args->arg_count; i++)
        for (size_t from = 0; from < args->lengths[i]; from += size, j++)
            sum += differing_bits(args->args[0], args->args[i] + from, size) << j;
    return sum;
}

/* The rotation of 32 * b numbers: signs, then a Hadamard matrix of order 32 in each block of 32,
 * then across the b blocks a Hadamard matrix if b is a power of two, or else a Hartley matrix. */

static bool is_wrong_rotation(const UDF_ARGS *args, char *problem)
{
    if (is_no_vector(args, 0, problem)) return true;
    unsigned long signs = args->args[1] ? args->lengths[1] : 4;
    if (!signs || signs % 4 || signs > MOST_NUMBERS / 8)
        return refuse(problem, "the signs are 4 to 2048 bytes, 4 for each 32 numbers");
    return args->args[0] && args->args[1] && args->lengths[0] / 4 > 8 * signs &&
           refuse(problem, "the vector has more numbers than there are signs");
}

/* Multiply by the Sylvester-Hadamard matrix of order `size`: numbers `step` apart. */
static void hadamard(double *y, size_t size, size_t step)
{
    for (size_t half = 1; half < size; half *= 2)
        for (size_t i = 0; i < size; i++)
            if (!(i & half)) {
                double a = y[i * step], b = y[(i + half) * step];
                y[i * step] = a + b;
                y[(i + half) * step] = a - b;
            }
}

/* Multiply each column of b rows by the matrix of cas(2 pi h r / b), cas = cos + sin. */
static void hartley(double *y, size_t b)
{
    double cas[MOST_NUMBERS / BLOCK], column[MOST_NUMBERS / BLOCK];
    for (size_t k = 0; k < b; k++) {
        double angle = 2 * 3.14159265358979323846 * (double)k / (double)b;
        cas[k] = cos(angle) + sin(angle);
    }
    for (size_t m = 0; m < BLOCK; m++) {
        for (size_t r = 0; r < b; r++) column[r] = y[r * BLOCK + m];
        for (size_t h = 0; h < b; h++) {
            double sum = 0;
            for (size_t r = 0; r < b; r++) sum += cas[h * r % b] * column[r];
            y[h * BLOCK + m] = sum;
        }
    }
}

/* Write numbers as float32; return whether one is infinite or NaN. */
static bool is_not_written(const double *y, size_t n, char *result)
{
    for (size_t i = 0; i < n; i++) {
        if (!(fabs(y[i]) <= FLT_MAX)) return true;
        float rounded = (float)y[i];
        memcpy(result + 4 * i, &rounded, 4);
    }
    return false;
}

EXPORT bool lookalike_native_rotate_init(UDF_INIT *init, UDF_ARGS *args, char *message)
{
    return begin(init, args, message, "bb", 2, "(vector, signs)", is_wrong_rotation) ||
           allocate(init, message, 4 * MOST_NUMBERS, 8 * MOST_NUMBERS);
}

EXPORT char *lookalike_native_rotate(UDF_INIT *init, UDF_ARGS *args, char *result,
                                     unsigned long *length, byte *is_null, byte *error)
{
    const char *name = "lookalike_native_rotate";
    (void)result;
    if (is_over(args, is_null, error, name, is_wrong_rotation)) return NULL;
    size_t given = args->lengths[0] / 4, b = args->lengths[1] / 4, n = BLOCK * b;
    double *y = (double *)(init->ptr + 4 * MOST_NUMBERS);
    for (size_t i = 0; i < n; i++) {
        bool is_flipped = args->args[1][i / 8] >> (7 - i % 8) & 1;
        double x = i < given ? (double)numbers(args, 0)[i] : 0;
        y[i] = (is_flipped ? -x : x) / sqrt((double)n);
    }
    for (size_t r = 0; r < b; r++) hadamard(y + r * BLOCK, BLOCK, 1);
    if (b & (b - 1))
        hartley(y, b);
    else
        for (size_t m = 0; m < BLOCK; m++) hadamard(y + m, b, BLOCK);
    if (is_not_written(y, n, init->ptr)) {
        fail(is_null, error, name, "a number is infinite or NaN");
        return NULL;
    }
    *length = (unsigned long)(4 * n);
    return init->ptr;
}

EXPORT void lookalike_native_rotate_deinit(UDF_INIT *init) { end(init); }

/* v1 - factor * v2 */

static bool is_wrong_difference(const UDF_ARGS *args, char *problem)
{
    return are_no_pair(args, problem) || is_too_long(args, problem);
}

EXPORT bool lookalike_native_subtract_init(UDF_INIT *init, UDF_ARGS *args, char *message)
{
    return begin(init, args, message, "bbr", 3, "(v1, v2, factor)", is_wrong_difference) ||
           allocate(init, message, 4 * MOST_NUMBERS, 8 * MOST_NUMBERS);
}

EXPORT char *lookalike_native_subtract(UDF_INIT *init, UDF_ARGS *args, char *result,
                                       unsigned long *length, byte *is_null, byte *error)
{
    const char *name = "lookalike_native_subtract";
    (void)result;
    if (is_over(args, is_null, error, name, is_wrong_difference)) return NULL;
    double factor, *y = (double *)(init->ptr + 4 * MOST_NUMBERS);
    memcpy(&factor, args->args[2], sizeof factor);
    size_t n = args->lengths[0] / 4;
    for (size_t i = 0; i < n; i++)
        y[i] = (double)numbers(args, 0)[i] - factor * (double)numbers(args, 1)[i];
    if (is_not_written(y, n, init->ptr)) {
        fail(is_null, error, name, "a number is infinite or NaN");
        return NULL;
    }
    *length = args->lengths[0];
    return init->ptr;
}

EXPORT void lookalike_native_subtract_deinit(UDF_INIT *init) { end(init); }

/* Bit planes: y ~ step * (u - middle) with u from 0 to 2^n_planes - 1; plane j holds the bits of
 * weight 2^j, the first in the highest bit of a byte. */

static bool is_wrong_rounding(const UDF_ARGS *args, char *problem)
{
    long long n_planes = 1;
    if (is_no_vector(args, 0, problem) || is_too_long(args, problem)) return true;
    if (args->args[1]) memcpy(&n_planes, args->args[1], sizeof n_planes);
    return (n_planes < 1 || n_planes > MOST_PLANES) && refuse(problem, "n_planes is 1 to 8");
}

/* Return the step, and set *middle; infinity where a number is not finite. */
static double rounding(const UDF_ARGS *args, unsigned *n_planes, double *middle)
{
    long long given;
    double largest = 0;
    memcpy(&given, args->args[1], sizeof given);
    *n_planes = (unsigned)given;
    *middle = (double)((1 << given) - 1) / 2;
    for (size_t i = 0; i < args->lengths[0] / 4; i++) {
        double size = fabs((double)numbers(args, 0)[i]);
        if (!(size <= FLT_MAX)) return INFINITY;
        if (size > largest) largest = size;
    }
    double step = largest / *middle;
    return step > FLT_MIN ? step : FLT_MIN;
}

EXPORT bool lookalike_native_step_init(UDF_INIT *init, UDF_ARGS *args, char *message)
{
    init->decimals = 31;
    return begin(init, args, message, "bi", 2, "(vector, n_planes)", is_wrong_rounding);
}

EXPORT double lookalike_native_step(UDF_INIT *init, UDF_ARGS *args, byte *is_null, byte *error)
{
    const char *name = "lookalike_native_step";
    unsigned n_planes;
    double middle;
    (void)init;
    if (is_over(args, is_null, error, name, is_wrong_rounding)) return 0;
    double step = rounding(args, &n_planes, &middle);
    if (isfinite(step)) return step;
    fail(is_null, error, name, "a number is infinite or NaN");
    return 0;
}

EXPORT bool lookalike_native_planes_init(UDF_INIT *init, UDF_ARGS *args, char *message)
{
    return begin(init, args, message, "bi", 2, "(vector, n_planes)", is_wrong_rounding) ||
           allocate(init, message, MOST_PLANES * MOST_NUMBERS / 8, 0);
}

EXPORT char *lookalike_native_planes(UDF_INIT *init, UDF_ARGS *args, char *result,
                                     unsigned long *length, byte *is_null, byte *error)
{
    const char *name = "lookalike_native_planes";
    unsigned n_planes;
    double middle;
    (void)result;
    if (is_over(args, is_null, error, name, is_wrong_rounding)) return NULL;
    double step = rounding(args, &n_planes, &middle);
    if (!isfinite(step)) {
        fail(is_null, error, name, "a number is infinite or NaN");
        return NULL;
    }
    size_t n = args->lengths[0] / 4, size = (n + 7) / 8;
    memset(init->ptr, 0, n_planes * size);
    for (size_t i = 0; i < n; i++) {
        double level = rint((double)numbers(args, 0)[i] / step + middle);
        unsigned u = level < 0 ? 0 : level > 2 * middle ? (unsigned)(2 * middle) : (unsigned)level;
        for (unsigned j = 0; j < n_planes; j++)
            init->ptr[j * size + i / 8] |= (char)((u >> j & 1) << (7 - i % 8));
    }
    *length = (unsigned long)(n_planes * size);
    return init->ptr;
}

EXPORT void lookalike_native_planes_deinit(UDF_INIT *init) { end(init); }

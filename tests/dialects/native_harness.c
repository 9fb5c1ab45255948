/* Hostile calls of the native functions, as the server makes them, for a sanitizer to watch.
 *
 * Usage: native_harness SEED CALLS. Every argument lies at the end of memory of its own, mostly
 * unaligned. Prints how many calls each function answered, refused, and answered with NULL. */

#include NATIVE_C

#include <stdarg.h>

typedef bool init_function(UDF_INIT *, UDF_ARGS *, char *);
typedef double real_function(UDF_INIT *, UDF_ARGS *, byte *, byte *);
typedef long long integer_function(UDF_INIT *, UDF_ARGS *, byte *, byte *);
typedef char *string_function(UDF_INIT *, UDF_ARGS *, char *, unsigned long *, byte *, byte *);

static int errors;
static uint64_t state;

void my_printf_error(unsigned int code, const char *format, int flags, ...)
{
    char text[512];
    va_list rest;
    va_start(rest, flags);
    if (vsnprintf(text, sizeof text, format, rest) >= (int)sizeof text || code != ER_UDF_ERROR)
        abort();
    va_end(rest);
    errors++;
}

static uint64_t pick(uint64_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (state >> 11) % below;
}

struct function {
    const char *name;
    const char *kinds;
    init_function *init;
    real_function *real;
    integer_function *integer;
    string_function *string;
    void (*deinit)(UDF_INIT *);
    int answered, refused, null;
};

#define N(name) lookalike_native_##name
static struct function functions[] = {
    {"distance", "vvm", N(distance_init), N(distance), 0, 0, 0, 0, 0, 0},
    {"distance_double", "vvm", N(distance_double_init), N(distance_double), 0, 0, 0, 0, 0, 0},
    {"estimate", "bbbbb", N(estimate_init), 0, N(estimate), 0, 0, 0, 0, 0},
    {"rotate", "vs", N(rotate_init), 0, 0, N(rotate), N(rotate_deinit), 0, 0, 0},
    {"subtract", "vvr", N(subtract_init), 0, 0, N(subtract), N(subtract_deinit), 0, 0, 0},
    {"planes", "vi", N(planes_init), 0, 0, N(planes), N(planes_deinit), 0, 0, 0},
    {"step", "vi", N(step_init), N(step), 0, 0, 0, 0, 0, 0},
};

struct given {
    char *memory[12];
    char *values[12];
    unsigned long lengths[12];
};

/* Put bytes at the end of memory of their own, so that a read past them is caught. */
static char *put(struct given *given, unsigned i, const void *bytes, size_t size)
{
    size_t before = pick(4);
    given->memory[i] = malloc(before + size + (size == 0));
    if (size && bytes) memcpy(given->memory[i] + before, bytes, size);
    for (size_t k = 0; size && !bytes && k < size; k++)
        given->memory[i][before + k] = (char)(pick(3) ? pick(256) : 0x7F);
    given->lengths[i] = (unsigned long)size;
    return given->memory[i] + before;
}

static void fill(struct given *given, unsigned i, char kind, enum item_result type, size_t usual)
{
    static const char *metrics[] = {"COSINE", "dot", "Euclidean", "L2", "", "cosin\xff"};
    static const long long integers[] = {4, 8, 1, 0, 9, -1, INT64_MAX, INT64_MIN};
    static const double reals[] = {1, -0.5, 0, 1e308, -1e-308, INFINITY, NAN};
    given->memory[i] = given->values[i] = NULL;
    given->lengths[i] = 0;
    if (!pick(25)) return; /* NULL */
    if (type == INT_RESULT) {
        given->values[i] = put(given, i, &integers[pick(pick(2) ? 3 : 8)], 8);
    } else if (type == REAL_RESULT) {
        given->values[i] = put(given, i, &reals[pick(7)], 8);
    } else if (kind == 'm' && pick(20)) {
        const char *metric = metrics[pick(pick(3) ? 3 : 6)];
        given->values[i] = put(given, i, metric, strlen(metric));
    } else {
        size_t size = pick(8) ? usual : pick(9) ? pick(300) : pick(300000);
        if (kind == 's' && pick(8)) size = (usual + 127) / 128 * 4;
        if (kind == 'v' && pick(10)) size = size / 4 * 4;
        given->values[i] = put(given, i, NULL, size);
        /* Mostly numbers of a usual size: any bits hold NaN and infinity. */
        if (kind == 'v' && pick(6))
            for (size_t k = 3; k < size; k += 4) given->values[i][k] = (char)(pick(2) ? 0x3F : 0xBF);
    }
}

static void release(struct given *given, unsigned count)
{
    for (unsigned i = 0; i < count; i++) free(given->memory[i]);
}

static void call(struct function *f, UDF_INIT *init, UDF_ARGS *args)
{
    char buffer[255];
    byte is_null = 0, error = 0;
    int before = errors;
    if (f->string) {
        unsigned long length = sizeof buffer, sum = 0;
        char *result = f->string(init, args, buffer, &length, &is_null, &error);
        if (!is_null) {
            if (!result || length > init->max_length) abort();
            for (unsigned long i = 0; i < length; i++) sum += (byte)result[i];
            if (sum == ~0ul) abort();
        }
    } else if (f->real) {
        double result = f->real(init, args, &is_null, &error);
        if (!is_null && !isfinite(result)) abort();
    } else if (f->integer(init, args, &is_null, &error) < 0) {
        abort();
    }
    if (error || (errors > before && !is_null)) abort();
    *(errors > before ? &f->refused : is_null ? &f->null : &f->answered) += 1;
}

static void statement(struct function *f)
{
    unsigned usual = (unsigned)strlen(f->kinds), count = pick(20) ? usual : (unsigned)pick(12);
    size_t size = pick(20) ? 4 * pick(200) : pick(5) ? 4 * (16300 + pick(200)) : pick(300);
    enum item_result types[12], before[12];
    char *constants[12], message[512];
    struct given given;
    for (unsigned i = 0; i < count; i++) {
        char kind = i < usual ? f->kinds[i] : 'b';
        types[i] = kind == 'i' ? INT_RESULT : kind == 'r' ? REAL_RESULT : STRING_RESULT;
        if (!pick(60)) types[i] = (enum item_result)pick(5);
        fill(&given, i, kind, before[i] = types[i], size);
        constants[i] = pick(3) ? NULL : given.values[i];
    }
    UDF_ARGS args = {count, types, constants, given.lengths, 0, 0, 0, 0};
    UDF_INIT init = {0};
    if (f->init(&init, &args, message)) {
        if (!memchr(message, 0, sizeof message)) abort();
        f->refused++;
        release(&given, count);
        return;
    }
    for (int row = 0; row < 3; row++) {
        for (unsigned i = 0; i < count; i++) {
            bool is_constant = constants[i] && types[i] == before[i];
            if (is_constant) continue;
            free(given.memory[i]);
            fill(&given, i, i < usual ? f->kinds[i] : 'b', types[i], size);
        }
        args.args = given.values;
        call(f, &init, &args);
    }
    if (f->deinit) f->deinit(&init);
    release(&given, count);
}

int main(int count, char **texts)
{
    if (count != 3) return 2;
    state = 88172645463325252u + strtoull(texts[1], NULL, 10);
    size_t n = sizeof functions / sizeof *functions;
    for (long i = strtol(texts[2], NULL, 10); i; i--) statement(&functions[pick(n)]);
    for (size_t i = 0; i < n; i++)
        printf("%s %d %d %d\n", functions[i].name, functions[i].answered, functions[i].refused,
               functions[i].null);
    return 0;
}

/*
 * entropy_rows: token entropies, log-sum-exps and log-probs of rows of logits, on the CPU.
 *
 * Each logit is read once, in blocks that fit the L1 cache; nothing as large as the matrix is allocated. Sums are
 * 32-bit floats inside a block of 4,096 logits and 64-bit floats across blocks. Code for AVX-512 and AVX2 is chosen at
 * run time; other processors run portable code.
 */
#ifndef ENTROPY_ROWS_H
#define ENTROPY_ROWS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Number types of logits. */
#define ENTROPY_ROWS_F32 0  /* IEEE 754, 32 bits */
#define ENTROPY_ROWS_BF16 1 /* bfloat16: the upper half of an F32 */
#define ENTROPY_ROWS_F16 2  /* IEEE 754, 16 bits */

/* A target that stands for no token, as ignore_index in torch. */
#define ENTROPY_ROWS_NO_TARGET (-100)

/* Results of entropy_rows. */
#define ENTROPY_ROWS_OK 0
#define ENTROPY_ROWS_ERROR_NULL 1        /* a pointer that is needed is NULL */
#define ENTROPY_ROWS_ERROR_DTYPE 2       /* dtype is no known number type */
#define ENTROPY_ROWS_ERROR_SHAPE 3       /* vocabulary is 0, stride < vocabulary, or the matrix exceeds the address space */
#define ENTROPY_ROWS_ERROR_TEMPERATURE 4 /* it is not from 1e-37 to 1e37 */
#define ENTROPY_ROWS_ERROR_TARGET 5      /* a target is not in the vocabulary */
#define ENTROPY_ROWS_ERROR_ALIGNMENT 6   /* an address is not a multiple of the size of the elements */
#define ENTROPY_ROWS_ERROR_OVERLAP 7     /* an output shares memory with another array */
#define ENTROPY_ROWS_ERROR_INTERNAL 8    /* a fault of the library, described on stderr */

/*
 * For each row of logits, with z = logits / temperature:
 *
 *   entropy[i]     = -sum of p ln p over the vocabulary, with p = softmax(z), in nats
 *   log_sum_exp[i] = ln of the sum of e^z
 *   log_prob[i]    = ln p of the token targets[i], in nats; NaN for ENTROPY_ROWS_NO_TARGET
 *
 * logits                rows x vocabulary elements of dtype; row i starts at element i * stride. Their memory may not
 *                       be written during the call. NULL only if rows is 0.
 * stride                distance of two rows in elements, not bytes; at least vocabulary
 * temperature           from 1e-37 to 1e37; 1.0 for the distribution of the model itself
 * targets               rows token ids, or NULL together with log_prob
 * entropy, log_sum_exp, log_prob
 *                       arrays of rows numbers, or NULL for what is not wanted; one at least is wanted
 * threads               1 runs in the calling thread; 0 uses one thread for each core. Threads end with the call, so
 *                       that a process may fork afterwards.
 * rows_without_softmax  NULL, or receives the number of rows that have no softmax
 *
 * A logit of -infinity, as of a masked token, has the probability 0 and adds nothing; its log_prob is -infinity.
 * A row has no softmax if a logit is NaN or +infinity, or if all are -infinity: all its outputs are NaN, it is
 * counted in rows_without_softmax, and the other rows are computed.
 *
 * Returns ENTROPY_ROWS_OK, or an error; then nothing was written (after ERROR_INTERNAL: something may have been).
 * May be called by several threads at the same time with different outputs.
 */
int32_t entropy_rows(const void *logits, int32_t dtype, size_t rows, size_t vocabulary, size_t stride, double temperature,
                     const int64_t *targets, double *entropy, double *log_sum_exp, double *log_prob, uint32_t threads,
                     size_t *rows_without_softmax);

/* The text of a result: what is wrong and what to do. Valid as long as the program runs; never NULL. */
const char *entropy_rows_error_text(int32_t result);

/* The version of the library, such as "0.2.0". */
const char *entropy_rows_version(void);

#ifdef __cplusplus
}
#endif

#endif

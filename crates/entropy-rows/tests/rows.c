/* A C program that calls entropy_rows, as tests/main.rs and scripts/sanitize.sh compile it. Says what differs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "entropy_rows.h"

static int failures = 0;

static void check(const char *what, int passed) {
    if (!passed) {
        printf("wrong: %s\n", what);
        failures++;
    }
}

static int near(double ours, double exact) { return fabs(ours - exact) < 1e-6; }

int main(void) {
    /* Rows of five logits, seven apart: uniform; two tokens with 0.2 and 0.8 and three masked ones; one NaN. */
    enum { ROWS = 3, VOCABULARY = 5, STRIDE = 7 };
    size_t length = (ROWS - 1) * STRIDE + VOCABULARY;
    float *logits = malloc(length * sizeof *logits);
    double *entropy = malloc(ROWS * sizeof *entropy);
    double *log_sum_exp = malloc(ROWS * sizeof *log_sum_exp);
    double *log_prob = malloc(ROWS * sizeof *log_prob);
    int64_t *targets = malloc(ROWS * sizeof *targets);
    size_t without = 99;
    int32_t result;
    if (!logits || !entropy || !log_sum_exp || !log_prob || !targets) return 2;
    for (size_t i = 0; i < length; i++) logits[i] = -INFINITY;
    for (size_t i = 0; i < VOCABULARY; i++) logits[i] = logits[2 * STRIDE + i] = 1.5f;
    logits[STRIDE + 1] = logf(0.2f);
    logits[STRIDE + 4] = logf(0.8f);
    logits[2 * STRIDE + 3] = NAN;
    targets[0] = 4, targets[1] = 1, targets[2] = ENTROPY_ROWS_NO_TARGET;

    result = entropy_rows(logits, ENTROPY_ROWS_F32, ROWS, VOCABULARY, STRIDE, 1.0, targets, entropy, log_sum_exp, log_prob, 2,
                          &without);
    check("the call succeeds", result == ENTROPY_ROWS_OK);
    check("uniform entropy", near(entropy[0], log(5.0)));
    check("uniform log_sum_exp", near(log_sum_exp[0], 1.5 + log(5.0)));
    check("uniform log_prob", near(log_prob[0], -log(5.0)));
    check("binary entropy", near(entropy[1], -0.2 * log(0.2) - 0.8 * log(0.8)));
    check("binary log_sum_exp", near(log_sum_exp[1], 0.0));
    check("binary log_prob", near(log_prob[1], log(0.2)));
    check("a row with NaN", isnan(entropy[2]) && isnan(log_sum_exp[2]) && isnan(log_prob[2]));
    check("one row without a softmax", without == 1);

    /* bfloat16: 0x3f80 is 1.0. */
    {
        uint16_t *halves = malloc(1000 * sizeof *halves);
        if (!halves) return 2;
        for (size_t i = 0; i < 1000; i++) halves[i] = 0x3f80;
        result = entropy_rows(halves, ENTROPY_ROWS_BF16, 1, 1000, 1000, 0.5, NULL, entropy, log_sum_exp, NULL, 0, NULL);
        check("bfloat16", result == ENTROPY_ROWS_OK && near(entropy[0], log(1000.0)) && near(log_sum_exp[0], 2.0 + log(1000.0)));
        free(halves);
    }

    result = entropy_rows(logits, ENTROPY_ROWS_F32, ROWS, VOCABULARY, 4, 1.0, NULL, entropy, NULL, NULL, 1, NULL);
    check("a stride that is too small", result == ENTROPY_ROWS_ERROR_SHAPE);
    check("the text names the stride", strstr(entropy_rows_error_text(result), "stride") != NULL);
    check("the version", strchr(entropy_rows_version(), '.') != NULL);

    free(logits), free(entropy), free(log_sum_exp), free(log_prob), free(targets);
    if (failures == 0) printf("all correct\n");
    return failures != 0;
}

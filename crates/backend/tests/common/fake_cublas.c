// The function of cuBLAS that is used, in plain loops on memory of the host: for devices that are emulated.
#include <stdlib.h>

static int calls;

int fake_calls(void) { return calls; }

int cublasCreate_v2(void **handle) {
  *handle = malloc(1);
  return 0;
}

int cublasDestroy_v2(void *handle) {
  free(handle);
  return 0;
}

int cublasSetStream_v2(void *handle, void *stream) {
  (void)stream;
  return handle ? 0 : 1;
}

int cublasSgemmStridedBatched(void *handle, int turn_a, int turn_b, int m, int n, int k, const float *alpha,
                              const float *a, int lda, long long stride_a, const float *b, int ldb,
                              long long stride_b, const float *beta, float *c, int ldc, long long stride_c, int count) {
  if (!handle || m <= 0 || n <= 0 || k <= 0 || count <= 0) return 7;
  if (lda < (turn_a ? k : m) || ldb < (turn_b ? n : k) || ldc < m) return 7; // invalid value
  calls++;
  for (int g = 0; g < count; g++) {
    for (int j = 0; j < n; j++) {
      for (int i = 0; i < m; i++) {
        double sum = 0;
        for (int l = 0; l < k; l++) {
          float left = a[g * stride_a + (turn_a ? l + (long long)i * lda : i + (long long)l * lda)];
          float right = b[g * stride_b + (turn_b ? j + (long long)l * ldb : l + (long long)j * ldb)];
          sum += (double)left * right;
        }
        float *to = &c[g * stride_c + i + (long long)j * ldc];
        float before = *beta == 0 ? 0 : *beta * *to; // what is there is not read then
        *to = (float)(*alpha * sum) + before;
      }
    }
  }
  return 0;
}

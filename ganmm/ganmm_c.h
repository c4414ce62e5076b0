/* ganmm from C and from every language that calls C: cluster rows in memory, assign new ones, draw
 * samples, keep the model in a file. More than ganmm_options names can be set from C++ alone.
 *
 * Every function that can fail returns a ganmm_status and leaves its outputs alone unless that is
 * GANMM_OK; no exception crosses this interface and nothing is printed. Functions may be called
 * from several threads at once, on one model too, as long as nobody frees it. Rows are copied: what
 * the caller passes is neither changed nor kept.
 */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ganmm_status {
  GANMM_OK = 0,
  GANMM_BAD_ARGUMENT = 1,  /* a null pointer, a setting out of range, shapes that do not fit */
  GANMM_BAD_INPUT = 2,     /* rows that are not finite, a model file that cannot be used */
  GANMM_IO_FAILED = 3,     /* the operating system refused a write */
  GANMM_UNSUPPORTED = 4,   /* this build or machine lacks what was asked for */
  GANMM_DEVICE_FAILED = 5, /* a call of the GPU failed */
  GANMM_OUT_OF_MEMORY = 6,
  GANMM_FAILED = 7 /* anything else; ganmm_last_error says what */
} ganmm_status;

/* Of the last call in this thread that failed: one line with what was attempted, expected and
 * found, and what to do, where it names options in the words of the command line. Valid until the
 * next call in this thread; "" before the first failure. */
const char* ganmm_last_error(void);

const char* ganmm_version(void); /* "1.0.0" */

/* Where work runs. A null pointer to it, or all zeros, is the CPU with all its threads. */
typedef struct ganmm_place {
  const char* device; /* null or "cpu", or "cuda:0" with the number of the GPU */
  int32_t threads;    /* of the CPU, to 4096; 0: all. Results do not depend on it */
  int32_t reserved;   /* 0 */
} ganmm_place;

typedef struct ganmm_options {
  const char* method; /* "ganmm", "ganmm-em", "kmeans", "gmm" or "dec" (ganmm/settings.h) */
  const char* scale;  /* "auto", "none", "standard", "maxabs", "minmax", "unit" (io/scaling.h) */
  int64_t clusters;   /* 1 to the number of rows */
  int64_t restarts;   /* 1 to 4096; 0: as many as the method has by default */
  int64_t iterations; /* at most so many, to 10^9; 0: as many as the method has by default */
  uint64_t seed;      /* same seed, same bits on the same machine */
  ganmm_place place;
  /* Asked between steps in the thread that called ganmm_fit; once it has answered other than 0 the
   * training ends with what it has so far. May be null. */
  int (*stop)(void* context);
  void* context;
  int64_t reserved[8]; /* 0 */
} ganmm_options;

/* method "ganmm", scale "auto", all else 0; clusters must be set. */
void ganmm_options_init(ganmm_options* options);

typedef struct ganmm_summary {
  int64_t iterations;
  int32_t converged; /* 0 or 1 */
  int32_t stopped;   /* 1: options->stop has answered other than 0 */
  double seconds;    /* of training */
  double confidence; /* mean over the rows of the largest posterior; of kmeans 1 */
  double reserved[4];
} ganmm_summary;

typedef struct ganmm_model ganmm_model;

/* Clusters `rows` >= 1 rows.
 *   values       [rows][item], contiguous, not scaled
 *   item, rank   the shape of a row: {features}, or {height, width, channels} for images
 *   model        a new model, to be freed with ganmm_free; may be null
 *   assignments  [rows], the cluster of every row, 0 to clusters - 1; may be null
 *   posteriors   [rows][clusters]; of ganmm-em they order the clusters of a row and are no
 *                probability, of kmeans they are 0 and 1 (ganmm/model.h); may be null
 *   summary      may be null */
ganmm_status ganmm_fit(const ganmm_options* options, const float* values, int64_t rows,
                       const int64_t* item, int32_t rank, ganmm_model** model, int32_t* assignments,
                       float* posteriors, ganmm_summary* summary);

/* Assigns `rows` >= 1 rows of the model's item, contiguous and not scaled, each by itself.
 *   assignments  [rows]; may be null
 *   posteriors   [rows][clusters]; may be null */
ganmm_status ganmm_predict(const ganmm_model* model, const ganmm_place* place, const float* values,
                           int64_t rows, int32_t* assignments, float* posteriors);

/* Draws `count` >= 1 samples of a cluster, 0 to clusters - 1, into [count][item], in the units of
 * the data. Of kmeans and dec there are none: GANMM_BAD_ARGUMENT. */
ganmm_status ganmm_sample(const ganmm_model* model, const ganmm_place* place, int64_t cluster,
                          int64_t count, uint64_t seed, float* samples);

/* model.safetensors, the file of the command line program. GANMM_UNSUPPORTED in a build without
 * nlohmann-json, such as the lean one. */
ganmm_status ganmm_save(const ganmm_model* model, const char* path);
ganmm_status ganmm_load(const char* path, ganmm_model** model);
void ganmm_free(ganmm_model* model); /* null is fine */

/* What a model is of; of a null model 0 and "". */
const char* ganmm_method(const ganmm_model* model); /* as in ganmm_options; valid while it lives */
int64_t ganmm_clusters(const ganmm_model* model);
int64_t ganmm_features(const ganmm_model* model); /* numbers of a row */
/* The shape of a row into item[0 .. rank); returns the rank, 1 or 3. */
int32_t ganmm_item(const ganmm_model* model, int64_t item[3]);

#ifdef __cplusplus
}
#endif

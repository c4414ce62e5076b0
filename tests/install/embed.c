/* The installed library from plain C: two groups of points, found, and a new point assigned. */
#include <ganmm/ganmm_c.h>
#include <stdio.h>

int main(void) {
  const float points[] = {0, 0, 0, 1, 1, 0, 9, 9, 9, 8, 8, 9};
  const float fresh[] = {8, 8};
  const int64_t item[] = {2};
  int32_t found[6], assigned = -1;
  ganmm_model* model = NULL;
  ganmm_options options;
  ganmm_options_init(&options);
  options.method = "kmeans";
  options.clusters = 2;
  if (ganmm_fit(&options, points, 6, item, 1, &model, found, NULL, NULL) != GANMM_OK ||
      ganmm_predict(model, NULL, fresh, 1, &assigned, NULL) != GANMM_OK) {
    fprintf(stderr, "%s\n", ganmm_last_error());
    return 1;
  }
  printf("ganmm %s: clusters %d %d %d %d %d %d, the new point in %d\n", ganmm_version(),
         (int)found[0], (int)found[1], (int)found[2], (int)found[3], (int)found[4], (int)found[5],
         (int)assigned);
  ganmm_free(model);
  return found[0] == found[1] && found[1] == found[2] && found[3] == found[4] &&
                 found[4] == found[5] && found[0] != found[3] && assigned == found[3]
             ? 0
             : 1;
}

# cmake -DSOURCE=checkout -DTEMPLATE=commit.cpp.in -DOUTPUT=commit.cpp -P WriteCommit.cmake
# Writes only what changed, so that a build compiles it only after a commit.
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=12 --exclude=*
  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed)
  set(commit "")
endif()
configure_file(${TEMPLATE} ${OUTPUT} @ONLY)

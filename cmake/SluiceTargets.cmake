# How targets are made here: one static library for each folder, warnings as errors, include paths
# rooted at the top of the tree ("stack/socket.h").

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(DPDK REQUIRED IMPORTED_TARGET libdpdk>=22.11)
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET openssl>=3.0)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(NUMA REQUIRED IMPORTED_TARGET numa)
pkg_check_modules(MICROHTTPD REQUIRED IMPORTED_TARGET libmicrohttpd)
pkg_check_modules(SYSTEMD REQUIRED IMPORTED_TARGET libsystemd)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(CAP REQUIRED IMPORTED_TARGET libcap)
find_package(mimalloc 2.0 REQUIRED)
if(BUILD_TESTING)
  pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
endif()
include(GNUInstallDirs)

# DPDK's headers are not written for our warnings.
get_target_property(dpdk_includes PkgConfig::DPDK INTERFACE_INCLUDE_DIRECTORIES)
set_target_properties(PkgConfig::DPDK PROPERTIES
  INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${dpdk_includes}")

# Assertions state invariants, never what a peer may do, and stay on in releases: a stack that has
# lost track of itself must not go on handling other people's bytes.
set(CMAKE_C_FLAGS_RELEASE "-O2" CACHE STRING "" FORCE)

add_library(sluice_options INTERFACE)
target_include_directories(sluice_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_definitions(sluice_options INTERFACE _GNU_SOURCE)
target_compile_options(sluice_options INTERFACE
  -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith
  -Wcast-qual -Wvla -Wformat=2 -Wundef -fno-common -fno-strict-aliasing
  -fstack-protector-strong $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2>)
target_link_options(sluice_options INTERFACE -Wl,-z,relro,-z,now)
if(SLUICE_SANITIZE)
  target_compile_options(sluice_options INTERFACE
    -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  target_link_options(sluice_options INTERFACE -fsanitize=address,undefined)
endif()
if(SLUICE_FUZZ)
  target_compile_options(sluice_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# sluice_library(NAME SOURCES file… [DEPENDS target…])
function(sluice_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC sluice_options ${ARG_DEPENDS})
endfunction()

# sluice_unit_test(NAME SOURCES file… DEPENDS target…): a cmocka program, run by ctest.
function(sluice_unit_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE sluice_options ${ARG_DEPENDS} PkgConfig::CMOCKA)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 120)
endfunction()

# sluice_fuzz_target(NAME SOURCES file… DEPENDS target…): a libFuzzer program with the preset "fuzz",
# which builds these and what they need, not the rest of the tree.
if(SLUICE_FUZZ)
  add_custom_target(fuzz_targets)
endif()
function(sluice_fuzz_target name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  if(SLUICE_FUZZ)
    add_executable(${name} ${ARG_SOURCES})
    target_link_libraries(${name} PRIVATE sluice_options ${ARG_DEPENDS})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    add_dependencies(fuzz_targets ${name})
  endif()
endfunction()

# Thin over CMake's presets (CMakePresets.json). As root: demo, test, bench.

PRESETS := release debug sanitize clang fuzz
SOURCES = find $(FOLDERS) -name '*.[ch]'
empty :=
space := $(empty) $(empty)
FOLDERS := base stack firewall scheduler app tls policy proxy appliance ctl programs tests

# A command that runs as root leaves build/ to whoever owns the tree.
define as_root
	@$(1); status=$$?; if [ -d build ]; then chown -R --reference=. build; fi; exit $$status
endef

all: release

$(PRESETS):
	@cmake --preset $@ >/dev/null
	@cmake --build --preset $@

demo:
	@packaging/install-deps demo
	$(call as_root,demo/run)

# FULL=1 transfers everything at its full size.
test:
	@packaging/install-deps test
	$(call as_root,FULL=$(FULL) tests/run)

deb:
	@packaging/install-deps deb
	$(call as_root,packaging/build-deb)

# BENCH=name runs one row, or the rows of one lab, only; QUICK=1 one short round.
bench:
	@packaging/install-deps bench
	$(call as_root,tests/bench/run $(if $(QUICK),--quick) $(BENCH))

# Where Sluice's time goes in one row: build/bench/profile/BENCH.txt and .svg.
profile:
	@packaging/install-deps bench
	$(call as_root,tests/bench/run --profile $(BENCH))

format:
	@$(SOURCES) -exec clang-format -i {} +

check-format:
	@$(SOURCES) -exec clang-format --dry-run --Werror {} +

# cppcheck cannot follow the macros of sys/queue.h and Jansson unless it is told of them, nor
# assignments of compound literals (uninitvar; the compilers and sanitizers watch those), nor every
# conditional expression (internalAstError). It takes an enum's arithmetic for signed, which the
# compilers' -Wformat knows better (invalidPrintfArgType_uint). glibc's readdir() may be called from
# several threads; getgrnam() is called by one only.
lint: release
	@packaging/install-deps dev
	@run-clang-tidy -quiet -p build/release '/($(subst $(space),|,$(FOLDERS)))/' >build/clang-tidy.log 2>&1 \
		|| { grep -E 'error:|warning:' build/clang-tidy.log | sort -u; exit 1; }
	@cppcheck --quiet --error-exitcode=1 --project=build/release/compile_commands.json \
		--enable=warning,performance,portability --library=posix --library=gnu \
		--include=/usr/include/$(shell gcc -print-multiarch)/sys/queue.h --include=/usr/include/jansson.h --inline-suppr \
		--suppress=uninitvar --suppress=internalAstError --suppress=readdirCalled \
		--suppress=invalidPrintfArgType_uint --suppress=getgrnamCalled \
		--suppress='*:/usr/*' -j 2
	@shellcheck packaging/install-deps packaging/build-deb .ci/run

clean:
	@rm -rf build

.PHONY: all $(PRESETS) demo test bench profile deb format check-format lint clean

# Convoy: `make help` lists what there is.
#
# Objects go below $(BUILD); a sanitizer build (make SAN=address,undefined)
# has a folder of its own, so that switching never rebuilds the other.
# A folder of sources is a static library; a program links the libraries that
# the arrows of the design let it use.

PREFIX  ?= /usr/local
DESTDIR ?=
SAN     ?=
comma   := ,
BUILD   ?= build$(if $(SAN),/san-$(subst $(comma),-,$(SAN)))

CC       ?= cc
PKGS     := libprotobuf-c libzmq hiredis jansson libcrypto libjpeg libwebp \
            libseccomp
WARN     := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
            -Wformat=2 -Wno-format-truncation \
            -Wno-missing-field-initializers $(if $(WERROR),-Werror)
HARDEN   := -fstack-protector-strong $(if $(SAN),,-D_FORTIFY_SOURCE=3) -fPIE
CPPFLAGS += -D_GNU_SOURCE -I. -I$(BUILD)/gen
CFLAGS   ?= $(if $(SAN),-O1,-O2) -g # sanitized kernels take minutes at -O2
ALL_CFLAGS = -std=c11 $(CFLAGS) $(WARN) $(HARDEN) -MMD -MP -pthread \
             $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all \
             -fno-omit-frame-pointer $(UNSAN)) $(shell pkg-config --cflags $(PKGS))
LDFLAGS  += -pie -Wl,-z,relro,-z,now -pthread $(if $(SAN),-fsanitize=$(SAN))

# ---- what each program links -------------------------------------------
LIBS_COMMON     := -lhiredis -ljansson -lcrypto -lz -lm
LIBS_NN         := -lopenblas -lprotobuf-c
LIBS_CLASSIFIER := -ljpeg -lwebpdemux -lwebp
LIBS_WORKER     := -lzmq -lseccomp
LIBS_FCGI       := -lfcgi -lzmq -lseccomp

lib = $(BUILD)/lib$(1).a
objects = $(patsubst %.c,$(BUILD)/%.o,$(filter-out %/main.c,$(wildcard $(1))))

FOLDERS := common fcgi worker models/nn models/classifier models/train \
           models/tool
common_OBJ     := $(call objects,common/*.c)
fcgi_OBJ       := $(call objects,fcgi/*.c)
worker_OBJ     := $(call objects,worker/*.c)
nn_OBJ         := $(call objects,models/nn/*.c models/nn/*/*.c) \
                  $(BUILD)/gen/onnx.pb-c.o
classifier_OBJ := $(call objects,models/classifier/*.c)
train_OBJ      := $(call objects,models/train/*.c)
tool_OBJ       := $(call objects,models/tool/*.c)

PROGRAMS := $(patsubst %,$(BUILD)/bin/%,\
            $(if $(wildcard fcgi/main.c),convoy-fcgi) \
            $(if $(wildcard worker/main.c),convoy-worker) \
            $(if $(wildcard models/tool/main.c),convoy-model))
# Below build/ whatever BUILD is: Redis itself is never sanitized.
REDIS_APPEND := build/lib/redis-append.so

.PHONY: all
all: $(PROGRAMS) $(REDIS_APPEND) ## build the three programs (the default)

$(REDIS_APPEND): deploy/redis_append.c
	@mkdir -p $(@D) && echo "  LINK  $@"
	@$(CC) -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -std=c11 -O2 $(WARN) -fPIC \
	  -shared -Wl,-z,relro,-z,now -o $@ $<

$(BUILD)/bin/convoy-fcgi: $(BUILD)/fcgi/main.o $(call lib,fcgi) \
                          $(call lib,common)
	$(link) $(LIBS_FCGI) $(LIBS_COMMON)
$(BUILD)/bin/convoy-worker: $(BUILD)/worker/main.o $(call lib,worker) \
                            $(call lib,classifier) $(call lib,nn) \
                            $(call lib,common)
	$(link) $(LIBS_WORKER) $(LIBS_CLASSIFIER) $(LIBS_NN) $(LIBS_COMMON)
$(BUILD)/bin/convoy-model: $(BUILD)/models/tool/main.o $(call lib,tool) \
                           $(call lib,train) $(call lib,classifier) \
                           $(call lib,nn) $(call lib,common)
	$(link) $(LIBS_CLASSIFIER) $(LIBS_NN) $(LIBS_COMMON)

link = @mkdir -p $(@D) && echo "  LINK  $@" && \
       $(CC) $(LDFLAGS) -o $@ $(filter %.o %.a,$^)

# ---- objects and libraries ----------------------------------------------
define archive
$(call lib,$(1)): $($(1)_OBJ)
	@mkdir -p $$(@D) && echo "  AR    $$@" && rm -f $$@ && \
	ar rcs $$@ $$^
endef
$(foreach l,common fcgi worker nn classifier train tool,\
  $(eval $(call archive,$(l))))

# Numeric folders want the vectoriser; a file named *_avx512.c or *_avx2.c is
# compiled for that instruction set and chosen at run time (no -march=native).
$(BUILD)/models/nn/%.o $(BUILD)/models/train/%.o \
$(BUILD)/models/classifier/%.o: OPT := -O3
%_avx512.o: ISA := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma
%_vnni.o: ISA := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni \
                 -mavx2 -mfma
%_avx2.o: ISA := -mavx2 -mfma
# stb_image reads of its stack what it has not written; see codec_stb.c. (What
# gcc 12 knows; clang of the same age does not.)
$(BUILD)/models/classifier/codec_stb.o: ISA := $(shell \
  $(CC) -ftrivial-auto-var-init=zero -E -x c /dev/null >/dev/null 2>&1 && \
  echo -ftrivial-auto-var-init=zero)
# It copies 0 bytes to a null pointer where a PNG has an empty IDAT.
$(BUILD)/models/classifier/codec_stb.o: UNSAN := \
  -fno-sanitize=pointer-overflow,nonnull-attribute
# What clang 14 lacks _Float16 for, or takes minutes over (tests/fuzz/run).
ifdef NUMERIC_CC
$(BUILD)/models/nn/number.o $(BUILD)/models/nn/kernels/%.o: \
  override CC := $(NUMERIC_CC)
$(BUILD)/models/nn/number.o $(BUILD)/models/nn/kernels/%.o: \
  override SAN := address
endif

$(BUILD)/%.o: %.c
	@mkdir -p $(@D) && echo "  CC    $<"
	@$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(OPT) $(ISA) -c -o $@ $<

ONNX_PROTO_DIR ?= /usr/include
$(BUILD)/gen/onnx.pb-c.c: $(ONNX_PROTO_DIR)/onnx/onnx.proto
	@mkdir -p $(@D) && echo "  PROTO $@"
	@protoc-c --c_out=$(BUILD)/gen -I$(<D) $<
$(BUILD)/gen/onnx.pb-c.o: $(BUILD)/gen/onnx.pb-c.c
	@$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -w -c -o $@ $<
$(nn_OBJ) $(train_OBJ) $(tool_OBJ) $(classifier_OBJ) \
  $(BUILD)/tests/unit/test_onnx_skim.o: | $(BUILD)/gen/onnx.pb-c.c

# ---- tests ---------------------------------------------------------------
# Every tests/unit/test_X.c is one cmocka program, linked with everything.
UNIT := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,\
        $(wildcard tests/unit/test_*.c))
ALL_LIBS := $(foreach l,fcgi worker tool train classifier nn common,\
            $(call lib,$(l)))
$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(ALL_LIBS)
	@mkdir -p $(@D) && echo "  LINK  $@"
	@$(CC) $(LDFLAGS) $(WRAP) -o $@ $< -Wl,--start-group $(ALL_LIBS) \
	  -Wl,--end-group $(LIBS_FCGI) $(LIBS_WORKER) $(LIBS_CLASSIFIER) \
	  $(LIBS_NN) $(LIBS_COMMON) -lcmocka -lcurl
# Where an allocation is to fail (tests/unit/alloc.h), these ask the test.
$(BUILD)/tests/unit/test_alloc_%: WRAP = $(addprefix -Wl$(comma)--wrap=,\
  malloc calloc realloc aligned_alloc posix_memalign strdup strndup \
  protobuf_c_message_unpack)

# Every tests/integration/test_X.c is one, linked with the helpers beside it.
INTEGRATION := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/integration/test_*.c))
INTEGRATION_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(filter-out \
                   tests/integration/test_%,$(wildcard tests/integration/*.c)))
$(INTEGRATION): %: %.o $(INTEGRATION_OBJ) $(call lib,common)
	@mkdir -p $(@D) && echo "  LINK  $@"
	@$(CC) $(LDFLAGS) -o $@ $^ -lcmocka -lcurl -ljansson -lcrypto -ljpeg -lz -lzmq

# Programs with fault points (common/fault.h), for tests/faults alone: what has
# such points is compiled anew, the rest comes from the same libraries.
FAULTS := $(BUILD)/faults
FAULTY := $(shell grep -l 'include "common/fault[.]h"' common/*.c fcgi/*.c \
          worker/*.c models/classifier/*.c)
faulty = $(patsubst %.c,$(FAULTS)/%.o,$(filter $(1),$(FAULTY)) \
         tests/faults/point.c)
FAULT_PROGRAMS := $(FAULTS)/bin/convoy-fcgi $(FAULTS)/bin/convoy-worker
$(FAULTS)/%.o: %.c
	@mkdir -p $(@D) && echo "  CC    $< (with fault points)"
	@$(CC) $(CPPFLAGS) -DCONVOY_FAULTS $(ALL_CFLAGS) -c -o $@ $<
$(FAULTS)/bin/convoy-fcgi: $(BUILD)/fcgi/main.o \
  $(call faulty,common/% fcgi/%) $(call lib,fcgi) $(call lib,common)
	$(link) $(LIBS_FCGI) $(LIBS_COMMON)
$(FAULTS)/bin/convoy-worker: $(BUILD)/worker/main.o \
  $(call faulty,common/% worker/% models/%) $(call lib,worker) \
  $(call lib,classifier) $(call lib,nn) $(call lib,common)
	$(link) $(LIBS_WORKER) $(LIBS_CLASSIFIER) $(LIBS_NN) $(LIBS_COMMON)

# The checker beside them.
FAULTS_CHECKER := $(BUILD)/tests/faults/faults
$(FAULTS_CHECKER): $(filter-out %/point.o,$(patsubst %.c,$(BUILD)/%.o,\
                   $(wildcard tests/faults/*.c))) \
                   $(patsubst %,$(BUILD)/tests/integration/%.o,\
                   picture process) \
                   $(call lib,classifier) $(call lib,nn) $(call lib,common)
	$(link) $(LIBS_CLASSIFIER) $(LIBS_NN) $(LIBS_COMMON) -lcurl

# The checker of tests/hosts, with the clients of the former.
HOSTS_CHECKER := $(BUILD)/tests/hosts/hosts
$(HOSTS_CHECKER): $(call objects,tests/hosts/*.c) \
                  $(BUILD)/tests/hosts/main.o \
                  $(patsubst %,$(BUILD)/tests/faults/%.o,\
                  backlog clients history http oracle verdict) \
                  $(BUILD)/tests/integration/picture.o \
                  $(call lib,classifier) $(call lib,nn) $(call lib,common)
	$(link) $(LIBS_CLASSIFIER) $(LIBS_NN) $(LIBS_COMMON) -lcurl

CONFORMANCE := $(BUILD)/tests/conformance/conformance
CONFORMANCE_OBJ := $(call objects,tests/conformance/*.c)
$(CONFORMANCE_OBJ): | $(BUILD)/gen/onnx.pb-c.c
$(CONFORMANCE): $(CONFORMANCE_OBJ) $(call lib,nn) $(call lib,common)
	$(link) $(LIBS_NN) $(LIBS_COMMON)

# Every tests/fuzz/fuzz_X.c is one: with libFuzzer below build/fuzz (make fuzz),
# elsewhere a program that is fed files.
FUZZ := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_MAIN ?= $(BUILD)/tests/fuzz/replay.o
$(FUZZ): %: %.o $(filter %.o,$(FUZZ_MAIN)) $(ALL_LIBS)
	@mkdir -p $(@D) && echo "  LINK  $@"
	@$(CC) $(LDFLAGS) -o $@ $< $(FUZZ_MAIN) -Wl,--start-group $(ALL_LIBS) \
	  -Wl,--end-group $(LIBS_FCGI) $(LIBS_WORKER) $(LIBS_CLASSIFIER) \
	  $(LIBS_NN) $(LIBS_COMMON)

.SECONDARY:

.PHONY: test-programs integration-programs fuzz-programs faults-programs \
        hosts-programs
test-programs: $(UNIT) $(INTEGRATION) $(CONFORMANCE) faults-programs \
               hosts-programs
integration-programs: $(INTEGRATION)
fuzz-programs: $(FUZZ)
faults-programs: $(FAULT_PROGRAMS) $(FAULTS_CHECKER) $(REDIS_APPEND)
hosts-programs: $(HOSTS_CHECKER)

.PHONY: unit
unit: $(UNIT)               ## build and run the unit tests
	@tests/unit/run $(UNIT)

.PHONY: fuzz fuzz-run
fuzz:                       ## build the fuzzers (clang), see tests/fuzz/run
	@tests/fuzz/run --build
SECONDS ?= 60
TARGET  ?=
fuzz-run:                   ## run them: SECONDS=60 each, TARGET=image alone
	@tests/fuzz/run --seconds=$(SECONDS) $(TARGET)

.PHONY: lint
lint:                       ## formatting, shell scripts, who includes whom
	@tests/lint/run

.PHONY: check
check:                      ## install what tests need, build, run all tests
	@deploy/check

.PHONY: conformance-torchvision
conformance-torchvision:    ## compare torchvision's networks with ONNX Runtime
	@tests/conformance/torchvision/run

$(BUILD)/tests/lint/%: $(BUILD)/tests/lint/%.o $(call lib,nn) \
                       $(call lib,common)
	$(link) $(LIBS_NN) $(LIBS_COMMON)

# Beside `make bench`, for whoever works on a kernel: build/tests/bench/bench_X.
$(BUILD)/tests/bench/%: $(BUILD)/tests/bench/%.o $(call lib,nn) \
                        $(call lib,common)
	$(link) $(LIBS_NN) $(LIBS_COMMON)

.PHONY: bench
bench: all                  ## print the figures: engine and whole service
	@tests/bench/run

.PHONY: bench-peers
bench-peers: all            ## the engine against ONNX Runtime, nine networks
	@tests/bench/run peers

SHARE := $(DESTDIR)$(PREFIX)/share/convoy
.PHONY: install
install: all                ## copy programs, page and models (DESTDIR, PREFIX)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/convoy \
	  $(SHARE)/nginx
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(REDIS_APPEND) $(DESTDIR)$(PREFIX)/lib/convoy
	install -m 644 nginx/*.conf $(SHARE)/nginx
	cp -R --preserve=mode deploy $(SHARE)
	cp -R --preserve=mode static $(SHARE)
	mkdir -p $(SHARE)/models && cp -R --preserve=mode models/zoo/. \
	  $(SHARE)/models

.PHONY: soak
soak:                       ## random faults (SCHEDULES=N SECONDS=N SEED=N)
	@tests/faults/run $(if $(SEED),--seed $(SEED)) \
	  $(if $(SCHEDULES),--schedules $(SCHEDULES)) \
	  $(if $(filter file,$(origin SECONDS)),,--seconds $(SECONDS))

.PHONY: clean
clean:                      ## remove everything built
	rm -rf build

.PHONY: help
help:                       ## list the targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | \
	  awk -F'|' '{printf "%-28s %s\n", $$1, $$2}'
	@echo
	@echo '  make SAN=address,undefined unit   with sanitizers'
	@echo '  make WERROR=1                     warnings are errors'

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

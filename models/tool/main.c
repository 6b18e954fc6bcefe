/*
 * convoy-model: the model bench on the command line.
 */
#include "common/options.h"
#include "models/nn/gemm.h"
#include "models/tool/command.h"
#include "models/train/train.h"

#include <stdio.h>
#include <string.h>

static const struct command {
    const char *name;
    int (*main)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"classify", classify_main, "name what is on pictures"},
    {"eval", eval_main, "accuracy on CIFAR-10 files or a folder of pictures"},
    {"bench", bench_main, "images a second, and where the time goes"},
    {"inspect", inspect_main, "what a model is made of and expects"},
    {"run", run_main, "tensors in, tensors out (.npy files)"},
    {"train", train_main, "train a network and write its model folder"},
};
#define COMMANDS (sizeof commands / sizeof *commands)

static void print_help(FILE *out) {
    fputs("convoy-model: try, measure and train image classifiers\n\n"
          "  convoy-model COMMAND [ARGUMENT]...\n\n",
          out);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-12s%s\n", commands[i].name, commands[i].help);
    fputs("\nA MODEL is a folder (model.onnx, config.json, "
          "preprocessor_config.json) or an\n.onnx file. convoy-model COMMAND "
          "--help tells more.\n",
          out);
}

int main(int argc, char **argv) {
    gemm_choose_core(argv);
    gemm_init();
    if (argc < 2) {
        print_help(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("convoy-model " CONVOY_VERSION);
        return 0;
    }
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].main(argc - 1, argv + 1);
    fprintf(stderr,
            "convoy-model: there is no command \"%s\"; see convoy-model "
            "--help\n",
            argv[1]);
    return 2;
}

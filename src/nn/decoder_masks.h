#pragma once
// The masks of a decoder and their names.

#include "src/nn/argument_reader.h"
#include "taut/nn/modules/transformer.h"

namespace taut::nn {

struct DecoderMasks {
  AttentionMasks own;
  AttentionMasks to_memory;
};

inline DecoderMasks read_decoder_masks(const ArgumentReader& read) {
  DecoderMasks masks{
      {read.tensor("tgt_mask"), read.tensor("tgt_key_padding_mask"), read.flag("tgt_is_causal")},
      {read.tensor("memory_mask"), read.tensor("memory_key_padding_mask"),
       read.flag("memory_is_causal")}};
  read.check_all();
  return masks;
}

/// The forward of a decoder, or of a layer of one, by the names of its arguments.
template <class Decoder>
Tensor forward_decoder(Decoder& decoder, TensorList inputs, const NamedArguments& named) {
  const ArgumentReader read(decoder, named);
  read.check_inputs(inputs, 2);
  const auto [own, to_memory] = read_decoder_masks(read);
  return decoder.forward(inputs[0], inputs[1], own.attn_mask, to_memory.attn_mask,
                         own.key_padding_mask, to_memory.key_padding_mask, own.is_causal,
                         to_memory.is_causal);
}

inline NamedArguments decoder_arguments(const AttentionMasks& own,
                                        const AttentionMasks& to_memory) {
  return {{"tgt_mask", own.attn_mask},
          {"memory_mask", to_memory.attn_mask},
          {"tgt_key_padding_mask", own.key_padding_mask},
          {"memory_key_padding_mask", to_memory.key_padding_mask},
          {"tgt_is_causal", own.is_causal},
          {"memory_is_causal", to_memory.is_causal}};
}

}  // namespace taut::nn

"""The paper's agents: a vision-language model with LoRA that perceives, reasons and evaluates.

    dataset --> samples --> conversation (one for training, inference and rollouts) --> backbone with adapter
                                                                                           |
        perception: image features + hidden states --> decoder --> two maps               <+
        evaluation: words of five levels, then a head --> scores with deviations          <+
        reasoning:  SFT, then GRPO --> one finding for each box                           <+

`check` proves that collator, generation and rollouts see the same.
"""

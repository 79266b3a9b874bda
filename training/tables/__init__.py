"""The tables of the paper on any dataset: agents are run, measured, and compared with people.

dataset_split ---> run_agents ---> records of each agent ---> perception_table, evaluation_table ---> ResultTable
one split          batch by batch  one file an agent          means, intervals, shares                 table_files
"""

#!/usr/bin/env python3
"""Write down an answer to a question of a survey.

    same => n,Set(DOZVON_STATUS=UNAVAILABLE)
    same => n,AGI(agi_scripts/survey_answer.py,survey=service,question=1,answer=${DIGIT})

The last answer of a call to a question counts. Sets DOZVON_STATUS.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # the folder that has agi_scripts/

from agi_scripts.hook import run

if __name__ == "__main__":
    run("survey-answer", names="survey question answer")

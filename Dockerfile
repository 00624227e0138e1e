# The challenge's evaluator builds this image, mounts the repository with its weights, and imports models.user_config.
#
# A plain Python base is enough for a GPU: torch's wheels on PyPI contain the CUDA libraries, and the host has the driver.
# The wheels of torch 2.13 contain CUDA 13, which needs driver 580 or newer and still supports the T4 (compute capability
# 7.5). For a host with an older driver (525 or newer) pass --build-arg TORCH_INDEX with the address of PyTorch's index of
# builds for CUDA 12.6.
FROM python:3.11-slim-bookworm

ARG TORCH_INDEX=""

ENV LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    HF_HUB_OFFLINE=1 \
    VLLM_NO_USAGE_STATS=1 \
    PATH=/home/aicrowd/venv/bin:$PATH

# torch and the AWQ kernels use Triton on a GPU. Triton compiles its launcher at run time with gcc and libc6-dev. Both also
# build the packages of requirements-gpu.txt that are published as source; one of them needs libpcre2-dev.
COPY apt.txt /tmp/apt.txt
RUN apt-get update \
    && xargs -r -a /tmp/apt.txt apt-get install -y --no-install-recommends \
    && rm -rf /var/lib/apt/lists/*

RUN groupadd -g 1001 aicrowd && useradd -m -s /bin/bash -u 1001 -g aicrowd aicrowd
USER aicrowd
WORKDIR /home/aicrowd

# The user owns the environment, so the evaluator can add its client to it.
RUN python -m venv venv
COPY --chown=1001:1001 requirements.txt requirements-gpu.txt ./
RUN pip install "$(grep '^torch==' requirements.txt)" ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} \
    && pip install -r requirements.txt

# Without build isolation, the packages for GPUs are built against the torch installed above. So their build tools have to
# be installed, and the venv's setuptools is too old.
RUN pip install setuptools==82.0.1 wheel==0.48.0 \
    && pip install --no-build-isolation -r requirements.txt -r requirements-gpu.txt

"""The account that every Azurite has, and its connection string.

https://learn.microsoft.com/azure/storage/common/storage-use-azurite#well-known-storage-account-and-key
"""

NAME = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def endpoint(port: int) -> str:
    """The blob endpoint of an Azurite on this machine; the account is the path's first part."""
    return f"http://127.0.0.1:{port}/{NAME}"


def connection_string(blob_endpoint: str) -> str:
    """What the SDKs, `az storage` and Storage Explorer take."""
    return f"DefaultEndpointsProtocol=http;AccountName={NAME};AccountKey={KEY};BlobEndpoint={blob_endpoint};"

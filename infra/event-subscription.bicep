// From the images container to the function `ingest`. Deployed after the code (`python -m darkroom.deploy subscribe`, which the
// post-deploy hook calls): Event Grid accepts a function as destination only when it exists, and a new app has none.
@description('The system topic that main.bicep made.')
param systemTopicName string

@description('The function app that the code was deployed to.')
param functionAppName string

@description('The function that takes the events.')
param functionName string = 'ingest'

@description('The account and container where undeliverable events go.')
param storageAccountName string
param deadLettersContainer string = 'deadletters'

@description('The container whose images are converted.')
param imagesContainer string

@description('The identity that main.bicep gave the topic.')
param identityId string

@description('Most events in one delivery. A delivery fails or succeeds as a whole, and all of it is sent again.')
@minValue(1)
@maxValue(5000)
param maxEventsPerBatch int = 100

resource systemTopic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: systemTopicName
}

resource app 'Microsoft.Web/sites@2024-04-01' existing = {
  name: functionAppName
}

resource storage 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: storageAccountName
}

resource subscription 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: systemTopic
  name: 'images-to-ingest'
  properties: {
    eventDeliverySchema: 'EventGridSchema'
    destination: {
      // Event Grid finds the function's key by itself: none is written anywhere.
      endpointType: 'AzureFunction'
      properties: {
        resourceId: '${app.id}/functions/${functionName}'
        maxEventsPerBatch: maxEventsPerBatch
        preferredBatchSizeInKilobytes: 256
      }
    }
    filter: {
      includedEventTypes: ['Microsoft.Storage.BlobCreated']
      subjectBeginsWith: '/blobServices/default/containers/${imagesContainer}/blobs/'
      isSubjectCaseSensitive: false
      // Compared without regard to case. The same suffixes as shared/naming.py; a test compares them.
      advancedFilters: [
        {
          operatorType: 'StringEndsWith'
          key: 'subject'
          values: ['.jpg', '.jpeg', '.jpe', '.jfif']
        }
      ]
    }
    retryPolicy: {
      maxDeliveryAttempts: 30
      eventTimeToLiveInMinutes: 1440
    }
    deadLetterWithResourceIdentity: {
      identity: {
        type: 'UserAssigned'
        userAssignedIdentity: identityId
      }
      deadLetterDestination: {
        endpointType: 'StorageBlob'
        properties: {
          resourceId: storage.id
          blobContainerName: deadLettersContainer
        }
      }
    }
  }
}
